"""Where users live: the :class:`UserStore` protocol, whose guarantees every store keeps, and the stores."""

"""How changes reach watchers: the bus between gateways, and the hub within one gateway."""

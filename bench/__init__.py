"""Speed, measured as a ratio: the gateway against its peers, in turns, in one run. ``python -m bench --help``."""

"""Who hears of a change: the bus between gateways and the hub within one."""

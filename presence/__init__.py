"""Who is connected: noted at this gateway, told to the others, and forgotten when a gateway falls silent."""

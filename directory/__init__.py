"""How one gateway reads, writes and watches users."""

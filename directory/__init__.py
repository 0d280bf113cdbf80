"""The users as one gateway sees them."""

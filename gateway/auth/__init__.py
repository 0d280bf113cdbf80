"""Who is asking: tokens, the keys they are checked with, and where requests carry them."""

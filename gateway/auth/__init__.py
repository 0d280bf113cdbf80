"""Authentication: tokens, the keys that they are verified with, and where requests carry them."""

"""Users on the move: from a store into a file of JSON Lines, and from such a file into a store."""

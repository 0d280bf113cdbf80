"""What each field of the API does, written once for Strawberry's schema and for plans."""

"""What each field of the API does: get, create, set, watch; and the batching of lookups."""

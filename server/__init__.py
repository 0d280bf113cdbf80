"""The server underneath: Uvicorn's protocol classes with the limits that they lack."""

"""Settings: their definitions, their sources, and their problems."""

"""``userline doctor``: finds problems of a deployment from one machine, and says what to do."""

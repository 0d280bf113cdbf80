"""Small tools that any room may use. They import no other room."""

"""Small tools that any room may use. They know nothing of users, and nothing of ours."""

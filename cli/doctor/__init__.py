"""What is wrong with a deployment, as far as can be seen from one machine, and what to do about it."""

"""What is shipped to deploy a gateway with, run as it is."""

"""What Prometheus can read: plain numbers that the parts of a gateway keep, put into its format when it asks."""

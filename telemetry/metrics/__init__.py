"""Metrics for Prometheus: plain numbers that the parts of a gateway count, written in its format on request."""

"""The metrics pipeline of an autoscaler: the metrics-server, and the adapter of custom metrics."""

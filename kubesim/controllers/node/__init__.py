"""The node lifecycle controller, taint-based eviction and pod garbage collection."""

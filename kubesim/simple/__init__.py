"""The original simulator's API: pod records, the four pod methods, the HPA configuration."""

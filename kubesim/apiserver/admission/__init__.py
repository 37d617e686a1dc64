"""Admission: quotas and limit ranges, applied to a request before it is stored."""

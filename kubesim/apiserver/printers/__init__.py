"""Printers: the columns and cells of `kubectl get`, as tables that the API server returns."""

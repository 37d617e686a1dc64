"""The verbs of the API server: get, list, watch, create, update, patch, apply, delete ..."""

"""The HTTP server: connections, requests, routing, responses, streams."""

"""An HTTP server: what is needed between a socket and a handler.

wire          a strict parser: bytes to a `Request`
reader        reads requests from a connection, with deadlines and a cache of heads
connections   accepts connections and serves their requests; their limit, and the eviction order
response      what a handler returns; `render`: its bytes
streams       responses without an end: watches, followed logs
certificates  a self-signed certificate for TLS
"""

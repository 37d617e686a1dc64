"""An HTTP server: what is needed between a socket and a handler.

wire          a strict parser: bytes to a `Request`
reader        reads requests from a connection, with deadlines and a cache of heads
connections   the limit of open connections, and the eviction order when the server is full
handler       from a request to its handler: Host, Origin and bearer token, then the routes
response      what a handler returns; `render`: its bytes
streams       responses without an end: watches, followed logs
certificates  a self-signed certificate for TLS
"""

"""KubeAPI over HTTP, based on the standard library's http.server.

server        RestServer: accepts connections and dispatches requests
http/         connections, the parser, routing, responses, streams, access rules, certificates
serializer/   content negotiation, Status, bodies in YAML and protobuf
kube/         the Kubernetes API
simple/       the original simulator's routes, and further ones of the simulator
users         authentication and authorization
kubeconfig    the file for kubectl and client libraries; `prometheus`: GET /metrics
"""

from kubesim.rest.server import RestServer

__all__ = ["RestServer"]

"""The Kubernetes API over HTTP: the API of kubectl and of client libraries.

routes        dispatches requests: discovery, objects, subresources, reviews
requestinfo   what a request asks for: the resource that its path names, and its options
bodies        request bodies, checked against the path (see also `rest.serializer`)
response      objects as objects, metadata only, tables; errors as Status; `jsoncache`: JSON, cached
discovery     /api, /apis, /api/v1, /apis/GROUP/VERSION
verbs         get, list, create, replace, patch, apply, delete
watch         watches
pods          binding, eviction, exec, attach; `podlogs`: logs
reviews       access reviews, token reviews
metrics       custom and external metrics
openapi       the documents that kubectl validates and explains with
"""

from kubesim.rest.kube.routes import KubeRoutes

__all__ = ["KubeRoutes"]

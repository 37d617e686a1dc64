"""The Kubernetes API over HTTP: the API of kubectl and of client libraries.

routes        dispatches requests: discovery, objects, subresources, reviews
requestinfo   the resource that a path names; `options`: the options of a request
bodies        request bodies, checked against the path (see also `rest.serializer`)
transform     objects as objects, as metadata only, or as tables; `jsoncache`: their JSON, cached
discovery     /api, /apis, /api/v1, /apis/GROUP/VERSION
verbs         get, list, create, replace, patch, apply, delete
watch         watches
pods          binding, eviction; `podlogs`: logs; `execute`: exec
reviews       access reviews, token reviews
metrics       custom and external metrics
openapi       the documents that kubectl validates and explains with
"""

from kubesim.rest.kube.routes import KubeRoutes

__all__ = ["KubeRoutes"]

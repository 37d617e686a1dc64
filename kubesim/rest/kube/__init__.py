"""The Kubernetes API over HTTP: what kubectl and the clients of other languages talk to.

paths        which object a path means
negotiate    which form of answer a client wants; errors as Status
discovery    what there is: /api, /apis, /api/v1, /apis/GROUP/VERSION
verbs        get, list, create, replace, patch, delete
watching     the stream of changes
pods         log, binding, eviction, exec
reviews      may I? who am I?
metrics      custom and external metrics
protobuf     bodies that newer kubectl sends; their fields are numbered in `wirefields`
openapi      documents from which kubectl validates and explains
routes       puts them together
"""

from kubesim.rest.kube.routes import KubeRoutes

__all__ = ["KubeRoutes"]

"""The Kubernetes API over HTTP: what kubectl and the clients of other languages talk to.

routes       puts it all together: which path asks for what, who may
paths        which object a path means; `options`: what its query string asks for
negotiate    which form of answer a client wants, errors as Status; `forms`: tables
bodies       what a client sends, in JSON, in YAML (`yamlbody`) or in protobuf (`protobuf`)
discovery    what there is: /api, /apis, /api/v1, /apis/GROUP/VERSION
verbs        get, list, create, replace, patch, apply, delete
watching     the stream of changes
pods         binding, eviction; `podlogs`: logs; `execute`: commands
reviews      may I? who am I?
metrics      custom and external metrics
openapi      documents from which kubectl validates and explains
"""

from kubesim.rest.kube.routes import KubeRoutes

__all__ = ["KubeRoutes"]

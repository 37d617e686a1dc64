"""The rules of the cluster roles that every cluster has, as a table: one string for each rule.

A rule is ``verbs groups resources``, with ``names`` as a fourth word if it has any, or ``verbs
paths``; words hold lists with commas, ``core`` is the core group. Rules that Kubernetes 1.34 adds
only for feature gates that are off by default are not here.

Source: plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go; metrics-server's
manifests/base/rbac.yaml.
"""

from __future__ import annotations

READ = "get,list,watch"
WRITE = "create,delete,deletecollection,patch,update"
BOTH = f"{READ},{WRITE}"
EVENTS = "create,patch,update core,events.k8s.io events"
REVIEWS = (
    "create authentication.k8s.io tokenreviews",
    "create authorization.k8s.io subjectaccessreviews",
)
WORKLOADS = "deployments,deployments/scale,replicasets,replicasets/scale"
SETS = "statefulsets,statefulsets/scale"
INGRESS = "ingresses,networkpolicies"
CSR = "certificates.k8s.io"
SHELLS = "pods/attach,pods/exec,pods/portforward,pods/proxy"

CLUSTER_ROLES: dict[str, tuple[str, ...]] = {
    "cluster-admin": ("* * *", "* *"),
    "system:discovery": (
        "get /livez,/readyz,/healthz,/version,/version/,/openapi,/openapi/*,/api,/api/*,/apis,"
        "/apis/*",
    ),
    "system:monitoring": (
        "get /metrics,/metrics/slis,/livez,/readyz,/healthz,/livez/*,/readyz/*,/healthz/*",
    ),
    "system:basic-user": (
        "create authorization.k8s.io selfsubjectaccessreviews,selfsubjectrulesreviews",
        "create authentication.k8s.io selfsubjectreviews",
    ),
    "system:public-info-viewer": ("get /livez,/readyz,/healthz,/version,/version/",),
    "system:aggregate-to-admin": (
        "create authorization.k8s.io localsubjectaccessreviews",
        f"{BOTH} rbac.authorization.k8s.io roles,rolebindings",
    ),
    "system:aggregate-to-edit": (
        f"{READ} core {SHELLS},secrets,services/proxy",
        "impersonate core serviceaccounts",
        f"{WRITE} core pods,{SHELLS}",
        "create core pods/eviction",
        f"{WRITE} core replicationcontrollers,replicationcontrollers/scale,serviceaccounts,"
        "services,services/proxy,persistentvolumeclaims,configmaps,secrets,events",
        "create core serviceaccounts/token",
        f"{WRITE} apps daemonsets,deployments/rollback,{WORKLOADS},{SETS}",
        f"{WRITE} autoscaling horizontalpodautoscalers",
        f"{WRITE} batch jobs,cronjobs",
        f"{WRITE} extensions daemonsets,deployments/rollback,{WORKLOADS},{INGRESS},"
        "replicationcontrollers/scale",
        f"{WRITE} policy poddisruptionbudgets",
        f"{WRITE} networking.k8s.io {INGRESS}",
        f"{BOTH} coordination.k8s.io leases",
        f"{WRITE} resource.k8s.io resourceclaims,resourceclaimtemplates",
    ),
    "system:aggregate-to-view": (
        f"{READ} core pods,replicationcontrollers,replicationcontrollers/scale,serviceaccounts,"
        "services,services/status,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,"
        "configmaps",
        f"{READ} core limitranges,resourcequotas,bindings,events,pods/status,resourcequotas/status,"
        "namespaces/status,replicationcontrollers/status,pods/log",
        f"{READ} core namespaces",
        f"{READ} discovery.k8s.io endpointslices",
        f"{READ} apps controllerrevisions,{SETS},statefulsets/status,daemonsets,daemonsets/status,"
        f"{WORKLOADS},deployments/status,replicasets/status",
        f"{READ} autoscaling horizontalpodautoscalers,horizontalpodautoscalers/status",
        f"{READ} batch jobs,jobs/status,cronjobs,cronjobs/status",
        f"{READ} extensions daemonsets,daemonsets/status,{WORKLOADS},deployments/status,{INGRESS},"
        "ingresses/status,replicasets/status,replicationcontrollers/scale",
        f"{READ} policy poddisruptionbudgets,poddisruptionbudgets/status",
        f"{READ} networking.k8s.io {INGRESS},ingresses/status",
        f"{READ} resource.k8s.io resourceclaims,resourceclaims/status,resourceclaimtemplates",
    ),
    "system:auth-delegator": REVIEWS,
    "system:kube-controller-manager": (
        EVENTS,
        "create coordination.k8s.io leases",
        "get,update coordination.k8s.io leases kube-controller-manager",
        "create core secrets,serviceaccounts",
        "delete core secrets",
        "get core configmaps,namespaces,secrets,serviceaccounts",
        "update core secrets,serviceaccounts",
        *REVIEWS,
        "list,watch * *",
        "create core serviceaccounts/token",
    ),
    "system:kube-scheduler": (
        EVENTS,
        "create coordination.k8s.io leases",
        f"{READ},update coordination.k8s.io leases kube-scheduler",
        f"{BOTH} coordination.k8s.io leasecandidates",
        f"{READ} core nodes",
        f"{READ},delete core pods",
        "create core pods/binding,bindings",
        "patch,update core pods/status",
        f"{READ} core services,replicationcontrollers",
        f"{READ} apps,extensions replicasets",
        f"{READ} apps statefulsets",
        f"{READ} policy poddisruptionbudgets",
        f"{READ} core persistentvolumeclaims,persistentvolumes",
        *REVIEWS,
        f"{READ} storage.k8s.io csinodes",
        f"{READ} storage.k8s.io volumeattachments",
        f"{READ} core namespaces",
        f"{READ} storage.k8s.io csidrivers",
        f"{READ} storage.k8s.io csistoragecapacities",
        f"{READ} resource.k8s.io deviceclasses",
        f"{READ},patch,update resource.k8s.io resourceclaims",
        f"{READ},patch,update resource.k8s.io resourceclaims/status",
        f"{READ},patch,update core pods/finalizers",
        f"{READ} resource.k8s.io resourceslices",
    ),
    "system:volume-scheduler": (
        f"{READ},patch,update core persistentvolumes",
        f"{READ} storage.k8s.io storageclasses",
        f"{READ},patch,update core persistentvolumeclaims",
    ),
    "system:node": (
        "create authentication.k8s.io tokenreviews",
        "create authorization.k8s.io localsubjectaccessreviews,subjectaccessreviews",
        f"{READ} core services",
        f"{READ},create core nodes",
        "patch,update core nodes/status",
        "patch,update core nodes",
        "create,patch,update core events",
        f"{READ} core pods",
        "create,delete core pods",
        "patch,update core pods/status",
        "create core pods/eviction",
        f"{READ} core configmaps,secrets",
        "get core persistentvolumeclaims,persistentvolumes",
        "get core endpoints",
        f"{READ},create {CSR} certificatesigningrequests",
        "create,delete,get,patch,update coordination.k8s.io leases",
        "get storage.k8s.io volumeattachments",
        "create core serviceaccounts/token",
        "get,patch,update core persistentvolumeclaims/status",
        f"{READ} storage.k8s.io csidrivers",
        "create,delete,get,patch,update storage.k8s.io csinodes",
        f"{READ} node.k8s.io runtimeclasses",
        "get resource.k8s.io resourceclaims",
        "deletecollection resource.k8s.io resourceslices",
        "get core serviceaccounts",
    ),
    "system:node-bootstrapper": (f"{READ},create {CSR} certificatesigningrequests",),
    "system:node-problem-detector": ("get core nodes", "patch core nodes/status", EVENTS),
    "system:node-proxier": (
        "list,watch core endpoints,services",
        f"{READ} core nodes",
        EVENTS,
        "list,watch networking.k8s.io servicecidrs",
        "list,watch discovery.k8s.io endpointslices",
    ),
    "system:kubelet-api-admin": (
        f"{READ} core nodes",
        "proxy core nodes",
        "* core nodes/log,nodes/metrics,nodes/proxy,nodes/stats",
        "* core nodes/configz,nodes/healthz,nodes/pods",
    ),
    "system:persistent-volume-provisioner": (
        f"{READ},create,delete core persistentvolumes",
        f"{READ},update core persistentvolumeclaims",
        f"{READ} storage.k8s.io storageclasses",
        "watch core events",
        EVENTS,
    ),
    "system:heapster": (
        f"{READ} core events,namespaces,nodes,pods",
        f"{READ} extensions deployments",
    ),
    "system:kube-aggregator": (f"{READ} core endpoints,services",),
    "system:kube-dns": ("list,watch core endpoints,services",),
    "system:service-account-issuer-discovery": (
        "get /.well-known/openid-configuration,/.well-known/openid-configuration/,"
        "/openid/v1/jwks,/openid/v1/jwks/",
    ),
    f"system:{CSR}:certificatesigningrequests:nodeclient": (
        f"create {CSR} certificatesigningrequests/nodeclient",
    ),
    f"system:{CSR}:certificatesigningrequests:selfnodeclient": (
        f"create {CSR} certificatesigningrequests/selfnodeclient",
    ),
    f"system:{CSR}:legacy-unknown-approver": (
        f"approve {CSR} signers kubernetes.io/legacy-unknown",
    ),
    f"system:{CSR}:kubelet-serving-approver": (
        f"approve {CSR} signers kubernetes.io/kubelet-serving",
    ),
    f"system:{CSR}:kube-apiserver-client-approver": (
        f"approve {CSR} signers kubernetes.io/kube-apiserver-client",
    ),
    f"system:{CSR}:kube-apiserver-client-kubelet-approver": (
        f"approve {CSR} signers kubernetes.io/kube-apiserver-client-kubelet",
    ),
}

# Of metrics-server, whose API this server contains; it is a part of view, edit and admin.
METRICS_READER = "system:aggregated-metrics-reader"
METRICS_RULE = f"{READ} metrics.k8s.io nodes,pods"

# ClusterRole -> subjects (kind, name) of the binding of the same name; accounts are of kube-system.
CLUSTER_BINDINGS: dict[str, tuple[tuple[str, str], ...]] = {
    "cluster-admin": (("Group", "system:masters"),),
    "system:monitoring": (("Group", "system:monitoring"),),
    "system:discovery": (("Group", "system:authenticated"),),
    "system:basic-user": (("Group", "system:authenticated"),),
    "system:public-info-viewer": (
        ("Group", "system:authenticated"),
        ("Group", "system:unauthenticated"),
    ),
    "system:node-proxier": (("User", "system:kube-proxy"),),
    "system:kube-controller-manager": (("User", "system:kube-controller-manager"),),
    "system:kube-scheduler": (("User", "system:kube-scheduler"),),
    "system:volume-scheduler": (("User", "system:kube-scheduler"),),
    "system:kube-dns": (("ServiceAccount", "kube-dns"),),
    "system:service-account-issuer-discovery": (("Group", "system:serviceaccounts"),),
    "system:node": (),  # upstream's Node authorizer has taken its place
}

"""The rules of the roles that every cluster has, as a table: one string for each rule.

A rule is ``verbs groups resources``, with ``names`` as a fourth word if it has any, or ``verbs
paths``; words hold lists with commas, ``core`` is the core group. Only the roles of components that
kubesim has, and of kubectl's users, are here.

Source: plugin/pkg/auth/authorizer/rbac/bootstrappolicy (policy.go, controller_policy.go,
namespace_policy.go).
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
        "get,update coordination.k8s.io leases kube-scheduler",
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
        f"{READ} core namespaces",
        f"{READ} storage.k8s.io csidrivers",
        f"{READ} storage.k8s.io csistoragecapacities",
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
        "create,delete,get,patch,update coordination.k8s.io leases",
        "get storage.k8s.io volumeattachments",
        "create core serviceaccounts/token",
        "get,patch,update core persistentvolumeclaims/status",
        f"{READ} storage.k8s.io csidrivers",
        "create,delete,get,patch,update storage.k8s.io csinodes",
        f"{READ} node.k8s.io runtimeclasses",
    ),
}

# Role of a controller, without its prefix system:controller:, which its account has as a name.
CONTROLLER_ROLES: dict[str, tuple[str, ...]] = {
    "clusterrole-aggregation-controller": (
        f"{READ},escalate,patch,update rbac.authorization.k8s.io clusterroles",
    ),
    "cronjob-controller": (
        f"{READ},update batch cronjobs",
        f"{READ},create,delete,patch,update batch jobs",
        "update batch cronjobs/status",
        "update batch cronjobs/finalizers",
        "delete,list,watch core pods",
        EVENTS,
    ),
    "daemon-set-controller": (
        f"{READ} apps,extensions daemonsets",
        "update apps,extensions daemonsets/status",
        "update apps,extensions daemonsets/finalizers",
        "list,watch core nodes",
        "create,delete,list,patch,watch core pods",
        "create core pods/binding",
        f"{READ},create,delete,patch,update apps controllerrevisions",
        EVENTS,
    ),
    "deployment-controller": (
        f"{READ},update apps,extensions deployments",
        "update apps,extensions deployments/status",
        "update apps,extensions deployments/finalizers",
        f"{READ},create,delete,patch,update apps,extensions replicasets",
        f"{READ},update core pods",
        EVENTS,
    ),
    "disruption-controller": (
        f"{READ} apps,extensions deployments",
        f"{READ} apps,extensions replicasets",
        f"{READ} core replicationcontrollers",
        f"{READ} policy poddisruptionbudgets",
        f"{READ} apps statefulsets",
        "update policy poddisruptionbudgets/status",
        "patch,update core pods/status",
        "get * */scale",
        EVENTS,
    ),
    "endpoint-controller": (
        f"{READ} core pods,services",
        f"{READ},create,delete,update core endpoints",
        "create core endpoints/restricted",
        EVENTS,
    ),
    "endpointslice-controller": (
        f"{READ} core nodes,pods,services",
        "update core services/finalizers",
        f"{READ},create,delete,update discovery.k8s.io endpointslices",
        "create discovery.k8s.io endpointslices/restricted",
        EVENTS,
    ),
    "endpointslicemirroring-controller": (
        f"{READ} core endpoints,services",
        "update core services/finalizers",
        "update core endpoints/finalizers",
        f"{READ},create,delete,update discovery.k8s.io endpointslices",
        "create discovery.k8s.io endpointslices/restricted",
        EVENTS,
    ),
    "generic-garbage-collector": (f"{READ},delete,patch,update * *", EVENTS),
    "horizontal-pod-autoscaler": (
        f"{READ} autoscaling horizontalpodautoscalers",
        "update autoscaling horizontalpodautoscalers/status",
        "get,update * */scale",
        "list,watch core pods",
        "list,watch metrics.k8s.io pods",
        f"{READ} custom.metrics.k8s.io *",
        f"{READ} external.metrics.k8s.io *",
        EVENTS,
    ),
    "job-controller": (
        f"{READ},patch,update batch jobs",
        "update batch jobs/status",
        "update batch jobs/finalizers",
        "create,delete,list,patch,watch core pods",
        EVENTS,
    ),
    "namespace-controller": (
        f"{READ},delete core namespaces",
        "update core namespaces/finalize,namespaces/status",
        f"{READ},delete,deletecollection * *",
    ),
    "node-controller": (
        f"{READ},delete,patch,update core nodes",
        "patch,update core nodes/status",
        "patch,update core pods/status",
        f"{READ},delete core pods",
        f"{READ} coordination.k8s.io leases",
        EVENTS,
    ),
    "persistent-volume-binder": (
        f"{READ},create,delete,update core persistentvolumes",
        "update core persistentvolumes/status",
        f"{READ},update core persistentvolumeclaims",
        "update core persistentvolumeclaims/status",
        f"{READ},create,delete core pods",
        f"{READ} storage.k8s.io storageclasses",
        "list,watch core nodes",
        EVENTS,
        "watch core events",
    ),
    "pod-garbage-collector": (
        "delete,list,watch core pods",
        f"{READ} core nodes",
        "patch core pods/status",
    ),
    "pv-protection-controller": (f"{READ},update core persistentvolumes", EVENTS),
    "pvc-protection-controller": (
        f"{READ},update core persistentvolumeclaims",
        f"{READ} core pods",
        EVENTS,
    ),
    "replicaset-controller": (
        f"{READ},update apps,extensions replicasets",
        "update apps,extensions replicasets/status",
        "update apps,extensions replicasets/finalizers",
        "create,delete,list,patch,watch core pods",
        EVENTS,
    ),
    "replication-controller": (
        f"{READ},update core replicationcontrollers",
        "update core replicationcontrollers/status",
        "update core replicationcontrollers/finalizers",
        "create,delete,list,patch,watch core pods",
        EVENTS,
    ),
    "resourcequota-controller": ("list,watch * *", "update core resourcequotas/status", EVENTS),
    "root-ca-cert-publisher": ("create,update core configmaps", EVENTS),
    "service-account-controller": ("create core serviceaccounts", EVENTS),
    "statefulset-controller": (
        "list,watch core pods",
        f"{READ} apps statefulsets",
        "update apps statefulsets/status",
        "update apps statefulsets/finalizers",
        "create,delete,get,patch,update core pods",
        f"{READ},create,delete,patch,update apps controllerrevisions",
        f"{READ},create core persistentvolumeclaims",
        "delete,update core persistentvolumeclaims",
        "update core pods/finalizers",
        EVENTS,
    ),
    "ttl-after-finished-controller": (f"{READ},delete batch jobs", EVENTS),
}

# Role in kube-system -> (rules, kind of the subject, its name; "": not bound).
NAMESPACE_ROLES: dict[str, tuple[tuple[str, ...], str]] = {
    "extension-apiserver-authentication-reader": (
        (f"{READ} core configmaps extension-apiserver-authentication",),
        "",
    ),
    "system::leader-locking-kube-controller-manager": (
        ("watch core configmaps", "get,update core configmaps kube-controller-manager"),
        "system:kube-controller-manager",
    ),
    "system::leader-locking-kube-scheduler": (
        ("watch core configmaps", "get,update core configmaps kube-scheduler"),
        "system:kube-scheduler",
    ),
}

# ClusterRole -> subjects (kind, name) of the binding of the same name.
CLUSTER_BINDINGS: dict[str, tuple[tuple[str, str], ...]] = {
    "cluster-admin": (("Group", "system:masters"),),
    "system:monitoring": (("Group", "system:monitoring"),),
    "system:discovery": (("Group", "system:authenticated"),),
    "system:basic-user": (("Group", "system:authenticated"),),
    "system:public-info-viewer": (
        ("Group", "system:authenticated"),
        ("Group", "system:unauthenticated"),
    ),
    "system:kube-controller-manager": (("User", "system:kube-controller-manager"),),
    "system:kube-scheduler": (("User", "system:kube-scheduler"),),
    "system:volume-scheduler": (("User", "system:kube-scheduler"),),
    "system:node": (),  # upstream's Node authorizer has taken its place
}

"""The rules of the controllers' roles, and the roles in the namespaces of the system, as tables.

Each rule is a line as in `policytables`. Controllers that kubesim does not have (cloud providers',
attach and detach, ...) have their roles all the same, as in a real cluster.

Source: plugin/pkg/auth/authorizer/rbac/bootstrappolicy (controller_policy.go, namespace_policy.go).
"""

from __future__ import annotations

from kubesim.apiserver.access.policytables import CSR, EVENTS, READ

# Role of a controller, without its prefix system:controller:, which its account has as a name.
CONTROLLER_ROLES: dict[str, tuple[str, ...]] = {
    "attachdetach-controller": (
        "list,watch core persistentvolumes,persistentvolumeclaims",
        f"{READ} core nodes",
        "patch,update core nodes/status",
        "list,watch core pods",
        EVENTS,
        f"{READ},create,delete storage.k8s.io volumeattachments",
        f"{READ} storage.k8s.io csidrivers",
        f"{READ} storage.k8s.io csinodes",
    ),
    "certificate-controller": (
        f"{READ},delete {CSR} certificatesigningrequests",
        f"update {CSR} certificatesigningrequests/approval,certificatesigningrequests/status",
        f"approve {CSR} signers kubernetes.io/kube-apiserver-client-kubelet",
        f"sign {CSR} signers kubernetes.io/legacy-unknown,kubernetes.io/kube-apiserver-client,"
        "kubernetes.io/kube-apiserver-client-kubelet,kubernetes.io/kubelet-serving",
        "create authorization.k8s.io subjectaccessreviews",
        EVENTS,
    ),
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
        EVENTS,
    ),
    "endpointslicemirroring-controller": (
        f"{READ} core endpoints,services",
        "update core services/finalizers",
        "update core endpoints/finalizers",
        f"{READ},create,delete,update discovery.k8s.io endpointslices",
        EVENTS,
    ),
    "ephemeral-volume-controller": (
        f"{READ} core pods",
        "update core pods/finalizers",
        f"{READ},create core persistentvolumeclaims",
        EVENTS,
    ),
    "expand-controller": (
        f"{READ},patch,update core persistentvolumes",
        "patch,update core persistentvolumeclaims/status",
        f"{READ} core persistentvolumeclaims",
        EVENTS,
        "get core services",
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
    "legacy-service-account-token-cleaner": (
        "get core configmaps kube-apiserver-legacy-service-account-token-tracking",
        "delete,patch core secrets",
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
        "get core services",
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
    "resource-claim-controller": (
        f"{READ} core pods",
        "update core pods/finalizers",
        f"{READ},create,delete resource.k8s.io resourceclaims",
        "patch,update resource.k8s.io resourceclaims,resourceclaims/status",
        "patch,update core pods/status",
        EVENTS,
    ),
    "resourcequota-controller": ("list,watch * *", "update core resourcequotas/status", EVENTS),
    "root-ca-cert-publisher": ("create,update core configmaps", EVENTS),
    "route-controller": ("list,watch core nodes", "patch core nodes/status", EVENTS),
    "selinux-warning-controller": (
        EVENTS,
        f"{READ} core persistentvolumes",
        f"{READ} core persistentvolumeclaims",
        f"{READ} core pods",
        f"{READ} storage.k8s.io csidrivers",
    ),
    "service-account-controller": ("create core serviceaccounts", EVENTS),
    "service-cidrs-controller": (
        f"{READ},patch,update networking.k8s.io servicecidrs",
        "patch,update networking.k8s.io servicecidrs/finalizers",
        "patch,update networking.k8s.io servicecidrs/status",
        f"{READ} networking.k8s.io ipaddresses",
        EVENTS,
    ),
    "service-controller": (
        f"{READ} core services",
        "patch,update core services/status",
        "list,watch core nodes",
        EVENTS,
    ),
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
    "ttl-controller": ("list,patch,update,watch core nodes", EVENTS),
    "validatingadmissionpolicy-status-controller": (
        f"{READ} admissionregistration.k8s.io validatingadmissionpolicies",
        "get,patch,update admissionregistration.k8s.io validatingadmissionpolicies/status",
        EVENTS,
    ),
    "volumeattributesclass-protection-controller": (
        f"{READ} core persistentvolumeclaims",
        f"{READ} core persistentvolumes",
        f"{READ},update storage.k8s.io volumeattributesclasses",
        EVENTS,
    ),
}

# (namespace, name) -> rules of the Role.
NAMESPACE_ROLES: dict[tuple[str, str], tuple[str, ...]] = {
    ("kube-public", "system:controller:bootstrap-signer"): (
        f"{READ} core configmaps",
        "update core configmaps cluster-info",
        EVENTS,
    ),
    ("kube-system", "extension-apiserver-authentication-reader"): (
        f"{READ} core configmaps extension-apiserver-authentication",
    ),
    ("kube-system", "system:controller:bootstrap-signer"): (f"{READ} core secrets",),
    ("kube-system", "system:controller:cloud-provider"): (f"{READ},create core configmaps",),
    ("kube-system", "system:controller:token-cleaner"): (f"{READ},delete core secrets", EVENTS),
    ("kube-system", "system::leader-locking-kube-controller-manager"): (
        "watch core configmaps",
        "get,update core configmaps kube-controller-manager",
    ),
    ("kube-system", "system::leader-locking-kube-scheduler"): (
        "watch core configmaps",
        "get,update core configmaps kube-scheduler",
    ),
}

# (namespace, name) of a RoleBinding -> its role and subjects (kind, name; accounts of kube-system).
NAMESPACE_BINDINGS: dict[tuple[str, str], tuple[str, tuple[tuple[str, str], ...]]] = {
    ("kube-public", "system:controller:bootstrap-signer"): (
        "system:controller:bootstrap-signer",
        (("ServiceAccount", "bootstrap-signer"),),
    ),
    ("kube-system", "system::extension-apiserver-authentication-reader"): (
        "extension-apiserver-authentication-reader",
        (("User", "system:kube-controller-manager"), ("User", "system:kube-scheduler")),
    ),
    ("kube-system", "system::leader-locking-kube-controller-manager"): (
        "system::leader-locking-kube-controller-manager",
        (
            ("User", "system:kube-controller-manager"),
            ("ServiceAccount", "kube-controller-manager"),
        ),
    ),
    ("kube-system", "system::leader-locking-kube-scheduler"): (
        "system::leader-locking-kube-scheduler",
        (("User", "system:kube-scheduler"), ("ServiceAccount", "kube-scheduler")),
    ),
    ("kube-system", "system:controller:bootstrap-signer"): (
        "system:controller:bootstrap-signer",
        (("ServiceAccount", "bootstrap-signer"),),
    ),
    ("kube-system", "system:controller:cloud-provider"): (
        "system:controller:cloud-provider",
        (("ServiceAccount", "cloud-provider"),),
    ),
    ("kube-system", "system:controller:token-cleaner"): (
        "system:controller:token-cleaner",
        (("ServiceAccount", "token-cleaner"),),
    ),
}

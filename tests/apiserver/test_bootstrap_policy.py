"""The roles and bindings that every cluster has, compared with those of Kubernetes 1.34.

Expected values: plugin/pkg/auth/authorizer/rbac/bootstrappolicy/testdata of Kubernetes, without the
rules of feature gates that 1.34 has off by default.
"""

from __future__ import annotations

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.access.attributes import RequestAttributes, User
from kubesim.apiserver.access.policy import PolicyObject, bootstrap_policy
from kubesim.apiserver.access.policytables import CLUSTER_ROLES

# How many rules each ClusterRole has. One role is metrics-server's, of which admin, edit and view
# have one rule each.
METRICS_READER = "system:aggregated-metrics-reader"
RULES = {
    "admin": 28,
    "cluster-admin": 2,
    "edit": 26,
    "system:aggregate-to-admin": 2,
    "system:aggregate-to-edit": 14,
    "system:aggregate-to-view": 11,
    METRICS_READER: 1,
    "system:auth-delegator": 2,
    "system:basic-user": 2,
    "system:certificates.k8s.io:certificatesigningrequests:nodeclient": 1,
    "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient": 1,
    "system:certificates.k8s.io:kube-apiserver-client-approver": 1,
    "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver": 1,
    "system:certificates.k8s.io:kubelet-serving-approver": 1,
    "system:certificates.k8s.io:legacy-unknown-approver": 1,
    "system:discovery": 1,
    "system:heapster": 2,
    "system:kube-aggregator": 1,
    "system:kube-controller-manager": 11,
    "system:kube-dns": 1,
    "system:kube-scheduler": 25,
    "system:kubelet-api-admin": 4,
    "system:monitoring": 1,
    "system:node": 25,
    "system:node-bootstrapper": 1,
    "system:node-problem-detector": 3,
    "system:node-proxier": 5,
    "system:persistent-volume-provisioner": 5,
    "system:public-info-viewer": 1,
    "system:service-account-issuer-discovery": 1,
    "system:volume-scheduler": 3,
    "view": 12,
}
CONTROLLER_RULES = {
    "attachdetach-controller": 8,
    "certificate-controller": 6,
    "clusterrole-aggregation-controller": 1,
    "cronjob-controller": 6,
    "daemon-set-controller": 8,
    "deployment-controller": 6,
    "disruption-controller": 9,
    "endpoint-controller": 4,
    "endpointslice-controller": 4,
    "endpointslicemirroring-controller": 5,
    "ephemeral-volume-controller": 4,
    "expand-controller": 5,
    "generic-garbage-collector": 2,
    "horizontal-pod-autoscaler": 8,
    "job-controller": 5,
    "legacy-service-account-token-cleaner": 2,
    "namespace-controller": 3,
    "node-controller": 5,
    "persistent-volume-binder": 10,
    "pod-garbage-collector": 3,
    "pv-protection-controller": 2,
    "pvc-protection-controller": 3,
    "replicaset-controller": 5,
    "replication-controller": 5,
    "resource-claim-controller": 6,
    "resourcequota-controller": 3,
    "root-ca-cert-publisher": 2,
    "route-controller": 3,
    "selinux-warning-controller": 5,
    "service-account-controller": 2,
    "service-cidrs-controller": 5,
    "service-controller": 4,
    "statefulset-controller": 10,
    "ttl-after-finished-controller": 2,
    "ttl-controller": 2,
    "validatingadmissionpolicy-status-controller": 3,
    "volumeattributesclass-protection-controller": 4,
}
NAMESPACED_RULES = {
    ("kube-public", "system:controller:bootstrap-signer"): 3,
    ("kube-system", "extension-apiserver-authentication-reader"): 1,
    ("kube-system", "system:controller:bootstrap-signer"): 1,
    ("kube-system", "system:controller:cloud-provider"): 1,
    ("kube-system", "system:controller:token-cleaner"): 2,
    ("kube-system", "system::leader-locking-kube-controller-manager"): 2,
    ("kube-system", "system::leader-locking-kube-scheduler"): 2,
}
CONTROLLER = "system:controller:"
MANAGER, SCHEDULER = "system:kube-controller-manager", "system:kube-scheduler"
AUTHENTICATED = "Group/system:authenticated"
# ClusterRole -> subjects of the binding of its name, besides the controllers'.
SUBJECTS = {
    "cluster-admin": ["Group/system:masters"],
    "system:basic-user": [AUTHENTICATED],
    "system:discovery": [AUTHENTICATED],
    "system:kube-controller-manager": [f"User/{MANAGER}"],
    "system:kube-dns": ["ServiceAccount/kube-system/kube-dns"],
    "system:kube-scheduler": [f"User/{SCHEDULER}"],
    "system:monitoring": ["Group/system:monitoring"],
    "system:node": [],
    "system:node-proxier": ["User/system:kube-proxy"],
    "system:public-info-viewer": [AUTHENTICATED, "Group/system:unauthenticated"],
    "system:service-account-issuer-discovery": ["Group/system:serviceaccounts"],
    "system:volume-scheduler": [f"User/{SCHEDULER}"],
}


def objects(kind: str) -> list[PolicyObject]:
    """The objects of one kind."""
    return [each for each in bootstrap_policy() if each.kind == kind]


def subjects(each: PolicyObject) -> list[str]:
    """The subjects of a binding, as ``Kind/name`` or ``ServiceAccount/namespace/name``."""
    return [
        "/".join(filter(None, (one["kind"], one.get("namespace"), one["name"])))
        for one in each.content.get("subjects", ())
    ]


def test_each_role_of_kubernetes_has_its_rules() -> None:
    """All names, and the number of rules of each."""
    expected = RULES | {f"{CONTROLLER}{name}": count for name, count in CONTROLLER_RULES.items()}
    assert {each.name: len(each.content["rules"]) for each in objects("ClusterRole")} == expected
    roles = objects("Role")
    counts = {(each.namespace, each.name): len(each.content["rules"]) for each in roles}
    assert counts == NAMESPACED_RULES


def test_each_role_is_bound_to_its_component() -> None:
    """A controller's to the account of its name; the others as the table says."""
    expected = SUBJECTS | {
        f"{CONTROLLER}{name}": [f"ServiceAccount/kube-system/{name}"] for name in CONTROLLER_RULES
    }
    bindings = objects("ClusterRoleBinding")
    assert {each.name: subjects(each) for each in bindings} == expected
    assert {each.name: each.content["roleRef"]["name"] for each in bindings} == {
        name: name for name in expected
    }
    account = "ServiceAccount/kube-system/"
    assert {(each.namespace, each.name): subjects(each) for each in objects("RoleBinding")} == {
        ("kube-public", f"{CONTROLLER}bootstrap-signer"): [f"{account}bootstrap-signer"],
        ("kube-system", f"{CONTROLLER}bootstrap-signer"): [f"{account}bootstrap-signer"],
        ("kube-system", f"{CONTROLLER}cloud-provider"): [f"{account}cloud-provider"],
        ("kube-system", f"{CONTROLLER}token-cleaner"): [f"{account}token-cleaner"],
        ("kube-system", "system::extension-apiserver-authentication-reader"): [
            f"User/{MANAGER}",
            f"User/{SCHEDULER}",
        ],
        ("kube-system", "system::leader-locking-kube-controller-manager"): [
            f"User/{MANAGER}",
            f"{account}kube-controller-manager",
        ],
        ("kube-system", "system::leader-locking-kube-scheduler"): [
            f"User/{SCHEDULER}",
            f"{account}kube-scheduler",
        ],
    }


def test_the_role_of_metrics_server_is_a_part_of_view_edit_and_admin(api: KubeAPI) -> None:
    """`kubectl top` works for users of these roles; its labels are those of the manifest."""
    (role,) = (each for each in objects("ClusterRole") if each.name == METRICS_READER)
    aggregate = "rbac.authorization.k8s.io/aggregate-to-"
    assert role.metadata["labels"] == {
        "k8s-app": "metrics-server",
        f"{aggregate}view": "true",
        f"{aggregate}edit": "true",
        f"{aggregate}admin": "true",
    }
    for name in ("view", "edit", "admin"):
        reference = {"kind": "ClusterRole", "name": name}
        rules = api.access.rules_of_reference(reference, "")
        request = RequestAttributes("list", "metrics.k8s.io", "pods", "default")
        assert any(rule.allows(request) for rule in rules), name


def test_components_may_do_what_they_do_in_kubernetes(api: KubeAPI) -> None:
    """Rules that were missing, and two that Kubernetes does not have."""
    scheduler = User(SCHEDULER, ("system:authenticated",))
    proxy = User("system:kube-proxy", ("system:authenticated",))
    binder = User("system:serviceaccount:kube-system:persistent-volume-binder", ())
    nodes = User("system:serviceaccount:kube-system:node-controller", ())
    expander = User("system:serviceaccount:kube-system:expand-controller", ())
    slices = User("system:serviceaccount:kube-system:endpointslice-controller", ())
    for user, verb, group, resource, allowed in (
        (scheduler, "watch", "storage.k8s.io", "volumeattachments", True),
        (scheduler, "create", "coordination.k8s.io", "leasecandidates", True),
        (scheduler, "patch", "resource.k8s.io", "resourceclaims/status", True),
        (scheduler, "delete", "resource.k8s.io", "resourceclaims", False),
        (proxy, "watch", "discovery.k8s.io", "endpointslices", True),
        (proxy, "list", "", "secrets", False),
        (binder, "get", "", "services", True),
        (expander, "patch", "", "persistentvolumes", True),
        (nodes, "list", "coordination.k8s.io", "leases", False),
        (slices, "create", "discovery.k8s.io", "endpointslices/restricted", False),
    ):
        request = RequestAttributes(verb, group, resource, "default", "x")
        assert api.access.decide(user, request).allowed is allowed, (user.name, verb, resource)
    assert "get core serviceaccounts" in CLUSTER_ROLES["system:node"]

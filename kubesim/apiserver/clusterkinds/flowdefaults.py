"""The flow schemas and priority levels that every cluster has from the start.

Source: k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap/default.go: the mandatory and the suggested
objects of Kubernetes 1.34, after their defaults.
"""

from __future__ import annotations

from functools import lru_cache

from kubesim.apiserver.clusterkinds.flowcontrol import GROUP
from kubesim.objects.frozen import Document, FrozenDict, freeze

Fields = dict[str, object]

ANNOTATIONS = {"apf.kubernetes.io/autoupdate-spec": "true"}
ANYBODY = ("system:unauthenticated", "system:authenticated")
MANAGER, SCHEDULER = "system:kube-controller-manager", "system:kube-scheduler"
LEASES = ("coordination.k8s.io", ("leases",))
BY_USER, BY_NAMESPACE = "ByUser", "ByNamespace"
HIGH, ELECTION, ACCOUNTS = "workload-high", "leader-election", "system:serviceaccounts"
QUEUE_LENGTH = 50
EXEMPT_LEVEL: Fields = {
    "type": "Exempt",
    "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0},
}

# Level -> (shares, lendable percent, queues, queues of one flow); no queues: requests are rejected.
LEVELS: dict[str, tuple[int, int, int, int]] = {
    "catch-all": (5, 0, 0, 0),
    "system": (30, 33, 64, 6),
    "node-high": (40, 25, 64, 6),
    "leader-election": (10, 0, 16, 4),
    "workload-high": (40, 50, 128, 6),
    "workload-low": (100, 90, 128, 6),
    "global-default": (20, 50, 128, 6),
}


@lru_cache(maxsize=1)
def priority_levels() -> dict[str, Document]:
    """Return metadata and spec of each priority level, by name; frozen, shared by all clusters."""
    specs = {"exempt": EXEMPT_LEVEL} | {name: _limited(*row) for name, row in LEVELS.items()}
    return {name: _object(name, spec) for name, spec in specs.items()}


@lru_cache(maxsize=1)
def flow_schemas() -> dict[str, Document]:
    """Return metadata and spec of each flow schema, by name; frozen, shared by all clusters."""
    users = [_user(MANAGER), _user(SCHEDULER)]
    accounts, probes = [_account("*")], [_paths("get", "/healthz", "/readyz", "/livez")]
    election = _resources(("get", "create", "update"), *LEASES)
    node_rules = [
        _resources(("*",), "", ("nodes", "nodes/status"), cluster_scope=True),
        _resources(("*",), *LEASES),
    ]
    endpoints = _resources(("get", "create", "update"), "", ("endpoints",))
    writers = [
        _user(MANAGER),
        _account("endpoint-controller"),
        _account("endpointslicemirroring-controller"),
    ]
    nodes = _groups("system:nodes")
    rows: tuple[tuple[str, int, str, str, Fields], ...] = (
        ("exempt", 1, "exempt", "", _all_of(_groups("system:masters"))),
        ("catch-all", 10_000, "catch-all", BY_USER, _all_of(_groups(*ANYBODY))),
        ("system-nodes", 500, "system", BY_USER, _all_of(nodes)),
        ("system-node-high", 400, "node-high", BY_USER, _rule(nodes, *node_rules)),
        ("probes", 2, "exempt", "", {"subjects": _groups(*ANYBODY), "nonResourceRules": probes}),
        ("system-leader-election", 100, ELECTION, BY_USER, _rule([*users, *accounts], election)),
        ("endpoint-controller", 150, HIGH, BY_USER, _rule(writers, endpoints)),
        ("workload-leader-election", 200, ELECTION, BY_USER, _rule(accounts, election)),
        ("kube-controller-manager", 800, HIGH, BY_NAMESPACE, _all_of(users[:1])),
        ("kube-scheduler", 800, HIGH, BY_NAMESPACE, _all_of(users[1:])),
        ("kube-system-service-accounts", 900, HIGH, BY_NAMESPACE, _all_of(accounts)),
        ("service-accounts", 9000, "workload-low", BY_USER, _all_of(_groups(ACCOUNTS))),
        ("global-default", 9900, "global-default", BY_USER, _all_of(_groups(*ANYBODY))),
    )
    return {row[0]: _object(row[0], _schema(*row[1:])) for row in rows}


def flow_object(kind: str, name: str, uid: str, now: str) -> FrozenDict:
    """Return a flow schema or a priority level of the start, as it is stored.

    Args:
        kind, name: which one.
        uid: of the new object.
        now: the time of its creation.

    Source: k8s.io/apiserver/pkg/util/flowcontrol/apf_controller.go (the condition Dangling).
    """
    document = (flow_schemas() if kind == "FlowSchema" else priority_levels())[name]
    metadata = {**document["metadata"], "uid": uid, "creationTimestamp": now}
    head = {"kind": kind, "apiVersion": f"{GROUP}/v1", "metadata": FrozenDict(metadata)}
    whole = {**head, "spec": document["spec"]}
    if kind == "FlowSchema":
        level = document["spec"]["priorityLevelConfiguration"]["name"]
        message = (
            f'This FlowSchema references the PriorityLevelConfiguration object named "{level}" '
            "and it exists"
        )
        condition = {"type": "Dangling", "status": "False", "lastTransitionTime": now}
        whole["status"] = freeze(
            {"conditions": [{**condition, "reason": "Found", "message": message}]}
        )
    return FrozenDict(whole)


def _object(name: str, spec: Fields) -> Document:
    metadata = {"name": name, "generation": 1, "annotations": ANNOTATIONS}
    document: Document = freeze({"metadata": metadata, "spec": spec})
    return document


def _limited(shares: int, lendable: int, queues: int, hand: int) -> Fields:
    response: Fields = {"type": "Reject"}
    if queues:
        queuing = {"queues": queues, "handSize": hand, "queueLengthLimit": QUEUE_LENGTH}
        response = {"type": "Queue", "queuing": queuing}
    limited = {
        "nominalConcurrencyShares": shares,
        "limitResponse": response,
        "lendablePercent": lendable,
    }
    return {"type": "Limited", "limited": limited}


def _schema(precedence: int, level: str, method: str, rule: Fields) -> Fields:
    spec: Fields = {
        "priorityLevelConfiguration": {"name": level},
        "matchingPrecedence": precedence,
        "rules": [rule],
    }
    return {**spec, "distinguisherMethod": {"type": method}} if method else spec


def _rule(subjects: list[Fields], *rules: Fields) -> Fields:
    return {"subjects": subjects, "resourceRules": list(rules)}


def _all_of(subjects: list[Fields]) -> Fields:
    """Return a rule for all requests of some subjects."""
    return {
        "subjects": subjects,
        "resourceRules": [_resources(("*",), "*", ("*",), cluster_scope=True)],
        "nonResourceRules": [_paths("*", "*")],
    }


def _resources(
    verbs: tuple[str, ...], group: str, resources: tuple[str, ...], cluster_scope: bool = False
) -> Fields:
    rule: Fields = {"verbs": list(verbs), "apiGroups": [group], "resources": list(resources)}
    if cluster_scope:
        rule["clusterScope"] = True
    return {**rule, "namespaces": ["*"]}


def _paths(verb: str, *paths: str) -> Fields:
    return {"verbs": [verb], "nonResourceURLs": list(paths)}


def _groups(*names: str) -> list[Fields]:
    return [{"kind": "Group", "group": {"name": name}} for name in names]


def _user(name: str) -> Fields:
    return {"kind": "User", "user": {"name": name}}


def _account(name: str) -> Fields:
    account = {"namespace": "kube-system", "name": name}
    return {"kind": "ServiceAccount", "serviceAccount": account}

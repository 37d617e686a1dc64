"""APIServices, flow schemas and priority levels that the API server keeps by itself.

Expected values: k8s.io/apiserver/pkg/apis/flowcontrol/bootstrap/default.go, kube-aggregator's
autoregister controller, pkg/controlplane/controller/crdregistration of Kubernetes 1.34.
"""

from __future__ import annotations

from typing import Any

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.printers.table import table_for
from kubesim.objects.frozen import thaw

MANAGED = "kube-aggregator.kubernetes.io/automanaged"
LEVELS = {  # shares, lendable percent, queues, hand size
    "catch-all": (5, 0, None, None),
    "global-default": (20, 50, 128, 6),
    "leader-election": (10, 0, 16, 4),
    "node-high": (40, 25, 64, 6),
    "system": (30, 33, 64, 6),
    "workload-high": (40, 50, 128, 6),
    "workload-low": (100, 90, 128, 6),
}
SCHEMAS = [  # level, precedence, distinguisher
    ["catch-all", "catch-all", 10000, "ByUser"],
    ["endpoint-controller", "workload-high", 150, "ByUser"],
    ["exempt", "exempt", 1, "<none>"],
    ["global-default", "global-default", 9900, "ByUser"],
    ["kube-controller-manager", "workload-high", 800, "ByNamespace"],
    ["kube-scheduler", "workload-high", 800, "ByNamespace"],
    ["kube-system-service-accounts", "workload-high", 900, "ByNamespace"],
    ["probes", "exempt", 2, "<none>"],
    ["service-accounts", "workload-low", 9000, "ByUser"],
    ["system-leader-election", "leader-election", 100, "ByUser"],
    ["system-node-high", "node-high", 400, "ByUser"],
    ["system-nodes", "system", 500, "ByUser"],
    ["workload-leader-election", "leader-election", 200, "ByUser"],
]


def rows(api: KubeAPI, plural: str) -> list[list[Any]]:
    """The rows of `kubectl get`."""
    kind = api.registry.find(plural)
    return [list(row) for row in table_for(kind, api.list(plural)["items"], api.clock, 0)[1]]


def definition(*versions: str) -> dict[str, Any]:
    """The definition of a custom kind with these versions, the first of which is stored."""
    schema = {"openAPIV3Schema": {"type": "object"}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "names": {"plural": "widgets", "kind": "Widget"},
            "scope": "Namespaced",
            "versions": [
                {"name": name, "served": True, "storage": name == versions[0], "schema": schema}
                for name in versions
            ],
        },
    }


def test_flow_schemas_and_levels_exist_from_the_start(api: KubeAPI) -> None:
    """With upstream's figures; each is valid, and is the same after an update."""
    assert [row[:4] for row in rows(api, "flowschemas")] == SCHEMAS
    assert {row[-1] for row in rows(api, "flowschemas")} == {"False"}
    levels = {
        level["metadata"]["name"]: level
        for level in api.list("prioritylevelconfigurations")["items"]
    }
    exempt = levels.pop("exempt")["spec"]
    assert exempt == {
        "type": "Exempt",
        "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0},
    }
    figures = {}
    for name, level in levels.items():
        limited = level["spec"]["limited"]
        queuing = limited["limitResponse"].get("queuing") or {}
        assert queuing.get("queueLengthLimit") in (50, None)
        assert limited["limitResponse"]["type"] == ("Queue" if queuing else "Reject")
        shares = limited["nominalConcurrencyShares"], limited["lendablePercent"]
        figures[name] = (*shares, queuing.get("queues"), queuing.get("handSize"))
    assert figures == LEVELS
    for plural in ("flowschemas", "prioritylevelconfigurations", "apiservices"):
        for stored in api.list(plural)["items"]:
            assert api.update(thaw(stored)) == stored
    nodes = api.get("FlowSchema", "system-node-high")["spec"]["rules"]
    assert nodes == [
        {
            "subjects": [{"kind": "Group", "group": {"name": "system:nodes"}}],
            "resourceRules": [
                {
                    "verbs": ["*"],
                    "apiGroups": [""],
                    "resources": ["nodes", "nodes/status"],
                    "clusterScope": True,
                    "namespaces": ["*"],
                },
                {
                    "verbs": ["*"],
                    "apiGroups": ["coordination.k8s.io"],
                    "resources": ["leases"],
                    "namespaces": ["*"],
                },
            ],
        }
    ]


def test_what_the_server_keeps_comes_back(api: KubeAPI) -> None:
    """A deleted one is new, with another uid; one of a user is not created again."""
    for kind, name in (
        ("FlowSchema", "exempt"),
        ("FlowSchema", "service-accounts"),
        ("PriorityLevelConfiguration", "exempt"),
        ("PriorityLevelConfiguration", "workload-low"),
    ):
        before = api.get(kind, name)
        api.delete(kind, name)
        after = api.get(kind, name)
        assert after["spec"] == before["spec"]
        assert after["metadata"]["uid"] != before["metadata"]["uid"]
    schema = thaw(api.get("FlowSchema", "global-default"))
    schema["metadata"] = {"name": "mine"}
    api.create(schema)
    api.delete("FlowSchema", "mine")
    assert "mine" not in [row[0] for row in rows(api, "flowschemas")]


def test_each_group_of_kubernetes_has_an_api_service(api: KubeAPI) -> None:
    """As kubectl lists them; one that is deleted comes back only when the server starts."""
    served = [row[0] for row in rows(api, "apiservices") if row[1:3] == ["Local", "True"]]
    assert served == [
        "v1.",
        "v1.admissionregistration.k8s.io",
        "v1.apiextensions.k8s.io",
        "v1.apps",
        "v1.authentication.k8s.io",
        "v1.authorization.k8s.io",
        "v1.autoscaling",
        "v1.batch",
        "v1.certificates.k8s.io",
        "v1.coordination.k8s.io",
        "v1.discovery.k8s.io",
        "v1.events.k8s.io",
        "v1.flowcontrol.apiserver.k8s.io",
        "v1.networking.k8s.io",
        "v1.node.k8s.io",
        "v1.policy",
        "v1.rbac.authorization.k8s.io",
        "v1.resource.k8s.io",
        "v1.scheduling.k8s.io",
        "v1.storage.k8s.io",
        "v1beta1.metrics.k8s.io",
        "v2.autoscaling",
    ]
    core, apps = api.get("APIService", "v1."), api.get("APIService", "v1.apps")
    assert core["metadata"]["labels"] == {MANAGED: "onstart"}
    assert core["spec"] == {"version": "v1", "groupPriorityMinimum": 18000, "versionPriority": 1}
    assert apps["spec"] == {
        "group": "apps",
        "version": "v1",
        "groupPriorityMinimum": 17800,
        "versionPriority": 15,
    }
    api.delete("APIService", "v1.apps")
    assert len(rows(api, "apiservices")) == len(served) - 1


def test_custom_kinds_have_api_services_as_long_as_they_are_served(api: KubeAPI) -> None:
    """One for each version; a deleted one comes back; the definition takes them along."""
    api.create(definition("v1", "v2"))
    made = api.get("APIService", "v1.example.com")
    assert made["metadata"]["labels"] == {MANAGED: "true"}
    assert made["spec"] == {
        "group": "example.com",
        "version": "v1",
        "groupPriorityMinimum": 1000,
        "versionPriority": 100,
    }
    assert made["status"]["conditions"][0]["reason"] == "Local"
    api.delete("APIService", "v2.example.com")
    assert api.get("APIService", "v2.example.com")["status"]
    stored = thaw(api.get("CustomResourceDefinition", "widgets.example.com"))
    stored["spec"]["versions"][1]["served"] = False
    api.update(stored)
    names = [row[0] for row in rows(api, "apiservices")]
    assert [name for name in names if "example" in name] == ["v1.example.com"]
    api.delete("CustomResourceDefinition", "widgets.example.com")
    assert not [row for row in rows(api, "apiservices") if "example" in row[0]]

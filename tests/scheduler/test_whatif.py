"""Explanations: the table, and proposals that the filters have verified."""

from __future__ import annotations

from typing import Any

import pytest
from sched_builders import ZONE, node, pod

from kubesim import Cluster
from kubesim.objects.frozen import thaw
from kubesim.scheduler import Framework, Snapshot, Status, default_profile
from kubesim.scheduler.explain.remedies import reduce_request
from kubesim.scheduler.explain.whatif import smallest_changes, status_on
from kubesim.scheduler.framework.resources import request_of

DB = {"key": "dedicated", "value": "db", "effect": "NoSchedule"}
NEAR = "requiredDuringSchedulingIgnoredDuringExecution"


def texts(incoming: Any, *nodes: Any, pods: Any = ()) -> list[str]:
    """Return the proposals as strings."""
    return [str(p) for p in smallest_changes(incoming, Snapshot.of(nodes, pods), framework())]


def framework() -> Framework:
    """Return a framework with the default plug-ins."""
    return Framework(default_profile())


def rule(**selector: Any) -> dict[str, Any]:
    """Return a required term with the hostname as topology key."""
    term = {"labelSelector": {"matchLabels": selector}, "topologyKey": "kubernetes.io/hostname"}
    return {NEAR: [term]}


def hard_spread(**labels: str) -> list[dict[str, Any]]:
    """Return a DoNotSchedule constraint over zones."""
    return [
        {
            "maxSkew": 1,
            "topologyKey": ZONE,
            "whenUnsatisfiable": "DoNotSchedule",
            "labelSelector": {"matchLabels": labels},
        }
    ]


FULL = [pod("old", "1500m", "1Gi", on="n1")]
WEB = {"app": "web"}
ROWS: list[tuple[str, Any, list[Any], list[Any], str]] = [
    ("less cpu", pod("p", "1"), [node(cpu="2")], FULL, "request 500m less cpu (500m in total)"),
    (
        "less of two",
        pod("p", "1", "8Gi"),
        [node(cpu="2")],
        FULL,
        "request 500m less cpu (500m in total) and request 1Gi less memory (7Gi in total)",
    ),
    ("a pod fewer", pod("p"), [node(pods="1")], FULL, "remove a pod from n1 (old)"),
    ("toleration", pod("p"), [node(taints=[DB])], [], "tolerate the taint dedicated=db:NoSchedule"),
    ("cordon", pod("p"), [node(unschedulable=True)], [], "uncordon n1"),
    (
        "cordon and its taint",
        pod("p"),
        [
            node(
                unschedulable=True,
                taints=[{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}],
            )
        ],
        [],
        "uncordon n1",
    ),
    (
        "apart",
        pod("p", labels=WEB, affinity={"podAntiAffinity": rule(app="web")}),
        [node()],
        [pod("same", labels=WEB, on="n1")],
        "remove a pod from n1 (same)",
    ),
    ("label", pod("p", nodeSelector={"disk": "ssd"}), [node()], [], "label n1 with disk=ssd"),
    (
        "term",
        pod(
            "p",
            affinity={
                "nodeAffinity": {
                    NEAR: {
                        "nodeSelectorTerms": [
                            {
                                "matchExpressions": [
                                    {"key": "cores", "operator": "Gt", "values": ["8"]},
                                    {"key": "ssd", "operator": "Exists"},
                                ]
                            }
                        ]
                    }
                }
            },
        ),
        [node(labels={"cores": "4"})],
        [],
        "label n1 with cores=9 ssd=true",
    ),
    (
        "port",
        pod("p", containers=[{"name": "c", "ports": [{"containerPort": 80, "hostPort": 80}]}]),
        [node()],
        [
            pod(
                "web",
                on="n1",
                containers=[{"name": "c", "ports": [{"containerPort": 1, "hostPort": 80}]}],
            )
        ],
        "remove a pod from n1 (web)",
    ),
    (
        "skew",
        pod("p", labels=WEB, topologySpreadConstraints=hard_spread(**WEB)),
        [node("n1", zone="a"), node("n2", zone="b", taints=[DB])],
        [pod("old", labels=WEB, on="n1")],
        f"allow maxSkew 2 instead of 1 over {ZONE}",
    ),
    (
        "own rule",
        pod("p", affinity={"podAffinity": rule(app="db")}),
        [node()],
        [],
        "drop its required podAffinity",
    ),
    (
        "repelled",
        pod("p", labels=WEB),
        [node()],
        [pod("shy", on="n1", affinity={"podAntiAffinity": rule(app="web")})],
        "remove a pod from n1 (shy)",
    ),
]


@pytest.mark.parametrize(
    ("_name", "incoming", "nodes", "pods", "message"), ROWS, ids=[r[0] for r in ROWS]
)
def test_each_refusal_has_its_smallest_change(
    _name: str, incoming: Any, nodes: list[Any], pods: list[Any], message: str
) -> None:
    """The expected proposal is among the results."""
    assert f"{message}: then it fits on n1" in texts(incoming, *nodes, pods=pods)


def test_the_fewest_and_smallest_changes_come_first() -> None:
    """Fewer and smaller changes come first."""
    nodes = [node("n1", cpu="100m"), node("n2", cpu="900m"), node("n3", taints=[DB], cpu="500m")]
    first, second, *_ = texts(pod("p", "1"), *nodes)
    assert first == "request 100m less cpu (900m in total): then it fits on n2"
    assert second == "request 900m less cpu (100m in total): then it fits on n1"


def test_the_same_change_on_several_nodes_is_told_once() -> None:
    """Equal changes on several nodes are one proposal."""
    nodes = [node(f"n{n}", cpu="1") for n in range(3)]
    assert texts(pod("p", "2"), *nodes) == [
        "request 1 less cpu (1 in total): then it fits on n0, likewise on 2 other nodes"
    ]
    assert texts(pod("p", "2"), *nodes[:2]) == [
        "request 1 less cpu (1 in total): then it fits on n0, likewise on one other node"
    ]


def test_nothing_is_proposed_for_a_pod_that_fits_or_cannot_be_helped() -> None:
    """A refusal without a remedy leaves no proposal."""

    class No:
        """A filter without a remedy."""

        name = "No"

        def filter(self, pod: Any, node: Any) -> Status:
            """Refuse."""
            return Status.unschedulable("no")

    assert texts(pod("p"), node()) == []
    own = Framework([*default_profile(), No()])
    assert smallest_changes(pod("p"), Snapshot.of([node()]), own) == []


def test_every_proposal_holds_when_it_is_carried_out() -> None:
    """With the changes applied to the documents, the filters accept the pod."""
    nodes = [node("n1", cpu="1", unschedulable=True), node("n2", cpu="1", taints=[DB])]
    incoming = pod("p", "2", nodeSelector={"disk": "ssd"})
    proposals = smallest_changes(incoming, Snapshot.of(nodes), framework())
    assert len(proposals) == 2
    for proposal in proposals:
        mine, theirs = thaw(incoming), {n["metadata"]["name"]: thaw(n) for n in nodes}
        for change in map(dict, proposal.changes):
            kind = change.pop("kind")
            if kind == "request":
                assert reduce_request(mine, change["resource"], change["fits"])
            elif kind == "toleration":
                mine["spec"].setdefault("tolerations", []).append(change)
            elif kind == "label":
                theirs[change["node"]]["metadata"]["labels"] |= change["labels"]
            else:
                assert kind == "uncordon"
                theirs[change["node"]]["spec"] = {}
        snapshot = Snapshot.of(theirs.values())
        assert status_on(mine, snapshot, framework(), proposal.node).ok


def test_a_request_is_cut_where_it_is_largest() -> None:
    """The sum of the reduced requests is the given amount."""
    incoming = pod("p", "300m")
    incoming["spec"]["containers"].append({"name": "b", "resources": {"requests": {"cpu": "900m"}}})
    incoming["spec"]["initContainers"] = [{"name": "i", "resources": {"requests": {"cpu": "2"}}}]
    assert reduce_request(incoming, "cpu", 500)
    assert request_of(incoming)["cpu"] == 500
    assert not reduce_request(incoming, "memory", 0)


def test_the_explanation_of_a_waiting_pod_shows_table_and_proposals() -> None:
    """As text, as data and as HTML; the cluster itself is not changed."""
    with Cluster(nodes=2, seed=1, hpa=False, node_cpu="1") as cluster:
        cluster.sleep(1)
        revision = cluster.api.list("Node")["metadata"]["resourceVersion"]
        cluster.api.create(pod("big", "3"))
        cluster.sleep(1)
        result = cluster.explain("pod/big")
        assert "node-1  NodeResourcesFit  Insufficient cpu" in str(result)
        assert "  - request 2 less cpu (1 in total): then it fits on node-1" in str(result)
        assert result.proposals[0].to_dict()["changes"][0] == {
            "kind": "request",
            "resource": "cpu",
            "asked": 3000,
            "fits": 1000,
        }
        html = result._repr_html_()
        assert ">because</th>" in html and "<li>request 2 less cpu" in html
        nodes = cluster.api.list("Node")["items"]
        assert all(int(n["metadata"]["resourceVersion"]) <= int(revision) for n in nodes)


def test_the_table_of_a_placed_pod_shows_raw_normalized_and_weighted_scores() -> None:
    """The table marks the best total; a tie has several marks."""
    with Cluster(nodes=2, seed=1, hpa=False) as cluster:
        cluster.api.create(pod("p", "1", "2Gi"))
        cluster.sleep(1)
        result = cluster.explain("pod/p")
        table = result.table()
        assert table is not None
        assert table.column("TaintToleration") == ["300 (0 -> 100)"] * 2
        assert table.column("total") == ["475 *", "475 *"]
        rows = result.latest.data["table"]
        fit = {"raw": 75, "normalized": 75, "weighted": 75}
        assert rows[0]["scores"]["NodeResourcesFit"] == fit
        assert result.proposals == []
        assert "2 nodes tie" in str(result)

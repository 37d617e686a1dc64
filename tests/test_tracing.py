"""`trace()`: what followed from a request, as a tree."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubesim import Cluster
from kubesim.ctl.trace import Span, describe
from kubesim.errors import BadRequest, NotFound

REPLICASET = {
    "kind": "ReplicaSet",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "main", "image": "nginx"}]},
        },
    },
}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with Cluster(nodes=2, seed=1, hpa=False) as made:
        made.sleep(10)
        yield made


def shape(span: Span) -> tuple[str, str]:
    return span.name.replace(span.object, "it"), span.actor


def test_a_replicaset_is_followed_to_its_ready_pods(cluster: Cluster) -> None:
    """Client -> controller -> scheduler -> kubelet, each span under the one that caused it."""
    cluster.api.create(REPLICASET)
    cluster.sleep(10)
    root = cluster.trace("rs/web").root
    assert shape(root) == ("create it", "client")
    assert [shape(child) for child in root.children] == [("create it", "replicaset-controller")] * 2
    for pod in root.children:
        steps = {span.name: span.actor for span in pod.children}
        assert [name for name in steps if name.startswith("bind to node-")]
        ready = next(span for span in pod.children if "Ready=True" in span.name)
        assert "phase Pending -> Running" in ready.name
        node = next(name.removeprefix("bind to ") for name in steps if name.startswith("bind to"))
        assert ready.actor == f"kubelet/{node}"
        assert pod.begin == root.begin == 10.0
        assert pod.end == ready.wrote > pod.wrote
    assert root.end == max(child.end for child in root.children)


def test_what_happens_long_after_is_not_part_of_the_request(cluster: Cluster) -> None:
    """The trace of a pod ends when it is ready: later heartbeats and restarts are left out."""
    cluster.api.create(REPLICASET)
    cluster.sleep(10)
    before = len(cluster.trace("rs/web").spans())
    cluster.sleep(600)
    assert len(cluster.trace("rs/web").spans()) == before


def test_the_next_request_ends_the_tree_of_the_one_before(cluster: Cluster) -> None:
    """Each is found by its revision; the newest without one."""
    made = cluster.api.create(REPLICASET)
    cluster.sleep(10)
    cluster.api.update_scale("ReplicaSet", "web", replicas=3)
    cluster.sleep(10)
    first = cluster.trace("rs/web", int(made["metadata"]["resourceVersion"]))
    newest = cluster.trace("replicaset/web")
    assert len(first.root.children) == 2
    assert newest.root.name == "replicaset/web: replicas 2 -> 3"
    assert [child.name.split()[0] for child in newest.root.children] == ["create"]


def test_a_deletion_is_followed_until_everything_is_gone(cluster: Cluster) -> None:
    """The garbage collector marks the pods, their kubelets stop them."""
    cluster.api.create(REPLICASET)
    cluster.sleep(10)
    cluster.api.delete("ReplicaSet", "web")
    cluster.sleep(60)
    root = cluster.trace("rs/web").root
    pods = [span for span in root.children if span.object.startswith("pod/")]
    assert len(pods) == 2
    assert all(span.children[-1].name == "remove" for span in pods)


def test_an_autoscaler_s_change_leads_to_the_pods_of_its_target() -> None:
    """A new minimum -> /scale of the StatefulSet -> pods."""
    with Cluster(nodes=2, seed=1) as cluster:
        cluster.sleep(10)
        cluster.set_hpa_config(min_pods=3)
        cluster.sleep(15)
        root = cluster.trace("hpa/auto-pod").root
    assert "minReplicas" in root.name
    scaled = root.children[0]
    assert shape(scaled) == ("it: replicas 1 -> 3", "horizontal-pod-autoscaler")
    made = [child.object for child in scaled.children if child.name.startswith("create")]
    assert made == ["pod/auto-pod-1", "pod/auto-pod-2"]


def test_a_trace_reads_as_text_as_data_and_as_html(cluster: Cluster) -> None:
    """One line, one dictionary and one row for each span."""
    cluster.api.create(REPLICASET)
    cluster.sleep(10)
    found = cluster.trace("rs/web")
    count = len(found.spans())
    assert len(str(found).splitlines()) == count == len(found.table().rows)
    assert str(found).splitlines()[0].startswith("create replicaset/web")
    assert found._repr_html_().count("<tr>") == count + 1
    assert found.to_dict()["children"][0]["name"].startswith("create pod/web-")


def test_a_name_that_leads_nowhere_says_so(cluster: Cluster) -> None:
    """Bad references, unknown kinds and objects without a request have a message each."""
    with pytest.raises(BadRequest, match="kind/name"):
        cluster.trace("web")
    with pytest.raises(NotFound, match="resource type"):
        cluster.trace("thing/web")
    with pytest.raises(NotFound, match="no write of 'pod/web'"):
        cluster.trace("pod/web")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (None, {"metadata": {}}, "create"),
        ({"metadata": {}}, None, "remove"),
        ({"metadata": {}, "spec": {}}, {"metadata": {}, "spec": {"nodeName": "n"}}, "bind to n"),
        (
            {"metadata": {}, "spec": {"replicas": 1}},
            {"metadata": {}, "spec": {"replicas": 2}},
            "replicas 1 -> 2",
        ),
        (
            {"metadata": {}, "spec": {"a": 1, "b": 2}},
            {"metadata": {}, "spec": {"a": 2}},
            "change a, b",
        ),
        ({"metadata": {}, "status": {"replicas": 1}}, {"metadata": {}, "status": {}}, ""),
        (
            {"metadata": {}},
            {"metadata": {"deletionTimestamp": "x", "deletionGracePeriodSeconds": 9}},
            "mark for deletion, 9 s to stop",
        ),
        (
            {"metadata": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}},
            {"metadata": {}, "status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}},
            "Ready=Unknown",
        ),
    ],
)
def test_each_kind_of_write_has_its_words(before: object, after: object, said: str) -> None:
    """Counters and heartbeats have none."""
    assert describe(before, after) == said  # type: ignore[arg-type]

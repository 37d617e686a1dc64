"""The audit log: who wrote what."""

from __future__ import annotations

import pytest

from kubesim import Cluster
from kubesim.apiserver.audit import AuditLog, acting_as
from kubesim.clock import VirtualClock


def test_each_write_of_a_pod_s_life_names_who_wrote() -> None:
    """Created by the client, bound by the scheduler, started and removed by its kubelet."""
    with Cluster(nodes=1, hpa=False, seed=1) as cluster:
        with acting_as("curl/8.0"):
            cluster.api.create_pod("web")
        cluster.sleep(10)
        cluster.api.delete_pod(cluster.api.list_pods()[0]["id"])
        rows = [row for row in cluster.api.audit.rows() if row.key.startswith("/registry/pods/")]
    actors = [row.actor for row in rows]
    assert actors[:2] == ["curl/8.0", "scheduler/default-scheduler"]
    assert set(actors[2:]) == {"client", "kubelet/node-1"}
    assert actors[-1] == "kubelet/node-1"
    assert rows[0].before is None and rows[0].after is not None
    assert rows[1].before == rows[0].after
    assert rows[-1].after is None
    assert [row.revision for row in rows] == sorted({row.revision for row in rows})


@pytest.mark.parametrize("clock", ["virtual", pytest.param("live", marks=pytest.mark.live)])
def test_the_kubelet_of_its_node_writes_a_pod_s_status(clock: str) -> None:
    """In the audit log and in the trace, although the pod has a worker of its own."""
    with Cluster(nodes=2, hpa=False, seed=1, clock=clock, speed=20) as cluster:
        cluster.api.create_pod("web")

        def is_ready() -> bool:
            conditions = cluster.api.get("Pod", "web").get("status", {}).get("conditions", ())
            return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)

        assert cluster.wait_until(is_ready, 3_000)
        stored = cluster.api.get("Pod", "web")
        kubelet = f"kubelet/{stored['spec']['nodeName']}"
        rows = [r for r in cluster.api.audit.rows() if r.key == "/registry/pods/default/web"]
        spans = cluster.trace("pod/web").spans()
        assert "pod/default/web" in cluster.clock.workers()
    # On a busy machine the scheduler may have written first that no node is ready yet.
    running = [r for r in rows if r.after and r.after.get("status", {}).get("phase") == "Running"]
    assert {row.actor for row in running} == {kubelet}
    assert [span.actor for span in spans if "phase" in span.name] == [kubelet]


def test_outside_of_every_worker_the_client_wrote() -> None:
    """A notebook cell is nobody's worker."""
    with Cluster(nodes=1, hpa=False, seed=1) as cluster:
        cluster.sleep(1)
        made = cluster.api.create({"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {}})
        newest = cluster.api.audit.rows(int(made["metadata"]["resourceVersion"]) - 1)[0]
    assert newest.actor == "client"
    assert newest.key == "/registry/configmaps/default/c"


def test_a_write_that_was_refused_or_changes_nothing_leaves_no_row() -> None:
    """Only what is in the store is in the log."""
    with Cluster(nodes=0, hpa=False, seed=1) as cluster:
        config = {"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "1"}}
        cluster.api.create(config)
        before = len(cluster.api.audit.rows())
        cluster.api.update(cluster.api.get("ConfigMap", "c"))
        cluster.api.update({**config, "data": {"a": "2"}}, dry_run=True)
        assert len(cluster.api.audit.rows()) == before


def test_leases_and_events_are_left_out_and_the_ring_is_bounded() -> None:
    """What is written all day would push everything else out."""
    audit = AuditLog(VirtualClock(), ring=3)
    audit.record(1, "/registry/events/default/x", None, {})
    audit.record(2, "/registry/coordination.k8s.io/leases/kube-node-lease/node-1", None, {})
    for revision in (5, 4, 6, 7):
        audit.record(revision, "/registry/pods/default/x", None, {})
    assert [row.revision for row in audit.rows()] == [4, 6, 7]
    assert [row.revision for row in audit.rows(6)] == [7]

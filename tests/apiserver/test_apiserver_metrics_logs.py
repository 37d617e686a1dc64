"""Usage samples and logs through the API server; Events that vanish; the lifecycle log."""

from __future__ import annotations

import pytest
from api_builders import a_config_map, a_pod, a_running_pod, make_api

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI
from kubesim.clock import NamedStreams, VirtualClock
from kubesim.errors import BadRequest, Invalid, MethodNotAllowed, NotFound
from kubesim.quantity import MEBIBYTE
from kubesim.store import EtcdStore


def test_a_sample_reads_as_pod_metrics(api: KubeAPI) -> None:
    """Written as plain numbers, read as the metrics-server would say it."""
    write = api.metrics_writer("default", "web")
    assert api.sample("default", "web") is None
    write(61.0, 1.0, "main", 134, 76 * MEBIBYTE, "side", 1000, 1500)
    sample = (61.0, 1.0, (("main", 134, 76 * MEBIBYTE), ("side", 1000, 1500)))
    revision = api.store.revision
    assert api.sample("default", "web") == sample
    assert api.get("PodMetrics", "web") == {
        "kind": "PodMetrics",
        "apiVersion": "metrics.k8s.io/v1beta1",
        "metadata": {"name": "web", "namespace": "default", "resourceVersion": str(revision)},
        "timestamp": "2025-01-01T00:01:01Z",
        "window": "1s",
        "containers": [
            {"name": "main", "usage": {"cpu": "134m", "memory": f"{76 * 1024}Ki"}},
            {"name": "side", "usage": {"cpu": "1", "memory": "2Ki"}},
        ],
    }
    listed = api.list("pods.metrics.k8s.io")
    assert listed["kind"] == "PodMetricsList" and len(listed["items"]) == 1
    api.forget_metrics("default", "web")
    assert api.sample("default", "web") is None
    with pytest.raises(NotFound):
        api.get("PodMetrics", "web")
    api.forget_metrics("default", "web")


def test_samples_have_one_writer(api: KubeAPI) -> None:
    """Clients read them, kubelets write them."""
    document = {"kind": "PodMetrics", "metadata": {"name": "web"}}
    for verb in (api.create, api.update, api.update_status):
        with pytest.raises(MethodNotAllowed):
            verb(document)


def test_logs_come_from_the_kubelet_of_the_pod_s_node(api: KubeAPI) -> None:
    """Lines in order, the newest few, of one container; nothing before there is a node."""
    lines = {None: [(1.0, "one"), (2.0, "two"), (3.0, "three")], "main": [(2.0, "two")]}
    asked = []

    def source(namespace: str, pod: str, container: str | None) -> list[tuple[float, str]]:
        asked.append((namespace, pod, container))
        return lines[container]

    api.register_log_source("node-1", source)
    api.create(a_pod())
    assert api.pod_logs("web") == [] and asked == []
    api.bind("web", "default", "node-1")
    assert api.pod_logs("web") == ["one", "two", "three"]
    assert api.pod_logs("web", tail_lines=2) == ["two", "three"]
    assert api.pod_logs("web", tail_lines=0) == []
    assert api.pod_logs("web", tail_lines=9) == ["one", "two", "three"]
    assert api.pod_logs("web", "default", container="main") == ["two"]
    assert asked[-1] == ("default", "web", "main")


def test_requests_for_logs_that_make_no_sense(api: KubeAPI) -> None:
    """In the words of the real server."""
    with pytest.raises(NotFound, match='pods "web" not found'):
        api.pod_logs("web")
    containers = [{"name": name, "image": name} for name in ("a", "b")]
    init = [{"name": "init", "image": "i"}]
    api.create(a_pod(containers=containers, initContainers=init))
    said = r"a container name must be specified for pod web, choose one of: \[init a b\]"
    with pytest.raises(BadRequest, match=said):
        api.pod_logs("web")
    with pytest.raises(BadRequest, match="container x is not valid for pod web"):
        api.pod_logs("web", container="x")
    assert api.pod_logs("web", container="init") == []
    with pytest.raises(Invalid, match="tailLines: Invalid value: -1"):
        api.pod_logs("web", container="a", tail_lines=-1)


def an_event(name: str) -> dict[str, object]:
    about = {"kind": "Pod", "name": "web", "namespace": "default"}
    return {"kind": "Event", "metadata": {"name": name}, "involvedObject": about}


def test_events_vanish_after_an_hour(api: KubeAPI) -> None:
    """By a lease that the Events of one minute share; an update starts the hour anew."""
    api.create(an_event("old"))
    api.create(an_event("counted"))
    api.create(a_config_map())
    api.clock.sleep(3000)
    api.update({**an_event("counted"), "count": 2})
    api.clock.sleep(700)
    api.create(an_event("new"))
    assert [event["metadata"]["name"] for event in api.list("Event")["items"]] == ["counted", "new"]
    api.clock.sleep(3800)
    api.create(an_event("newest"))
    assert [event["metadata"]["name"] for event in api.list("Event")["items"]] == ["newest"]
    assert api.peek("cm", "settings") is not None


def test_events_of_a_minute_share_a_lease(api: KubeAPI) -> None:
    """A thousand Events are not a thousand leases."""
    granted = []
    grant = api.store.grant

    def counting(ttl_seconds: float, *, now: float = 0.0) -> int:
        granted.append(now)
        return grant(ttl_seconds, now=now)

    api.store.grant = counting  # type: ignore[method-assign]
    for number in range(100):
        api.create(an_event(f"e-{number}"))
        api.clock.sleep(1)
    assert granted == [0.0, 60.0]


def test_the_lifecycle_log_tells_of_comings_and_goings() -> None:
    """Pods as in the original simulator, other kinds likewise; not what is written all day."""
    clock = VirtualClock()
    analytics = Analytics(clock.now)
    api = KubeAPI(EtcdStore(analytics=analytics), clock, NamedStreams(0), analytics=analytics)
    cursor = analytics.since(0).cursor
    pod = api.create(a_pod("auto-pod-0"))
    api.create(an_event("e"))
    api.delete("Event", "e")
    api.create({"kind": "Lease", "metadata": {"name": "l"}})
    api.create(a_config_map())
    api.delete("cm", "settings")
    api.delete("Pod", "auto-pod-0")
    uid = pod["metadata"]["uid"]
    rows = [str(row) for row in analytics.since(cursor).rows]
    assert rows[0] == f"[INFO] KubeAPI: CreatedPod: ID={uid}, Name=auto-pod-0"
    assert rows[-1] == f"[INFO] KubeAPI: DeletedPod: ID={uid}, Name=auto-pod-0"
    assert [row.split(": ")[1] for row in rows] == [
        "CreatedPod",
        "CreatedConfigMap",
        "DeletedConfigMap",
        "DeletedPod",
    ]


def test_a_restored_store_is_served_as_it_was() -> None:
    """A new server over a snapshot: same objects, same ids, no second set of namespaces."""
    old = make_api()
    a_running_pod(old)
    record = old.list_pods()[0]
    store = EtcdStore.restore(old.store.snapshot())
    new = make_api(store=store)
    assert new.store.revision == old.store.revision
    assert new.get("Pod", "web") == old.get("Pod", "web")
    assert new.get_pod(record["id"]) == record

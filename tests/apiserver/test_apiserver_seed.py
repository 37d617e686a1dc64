"""The original simulator's contract: pod records and the four methods."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest
from api_builders import a_running_pod, make_api

from kubesim.apiserver import KubeAPI
from kubesim.clock import LiveClock
from kubesim.errors import AlreadyExists, BadRequest, NotFound, Timeout
from kubesim.simple.pods import bare_pod

KEYS = ["id", "name", "status", "cpu", "memory", "logs"]


# -- records ---


def test_a_record_has_the_original_s_six_keys(api: KubeAPI) -> None:
    """In the original's order and types; ours follow."""
    record = api.create_pod("my-first-pod")
    assert list(record) == [*KEYS, "namespace", "node"]
    assert record == {
        "id": api.get("Pod", "my-first-pod")["metadata"]["uid"],
        "name": "my-first-pod",
        "status": "Pending",
        "cpu": 0,
        "memory": 0,
        "logs": [],
        "namespace": "default",
        "node": "",
    }
    assert api.get_pod(record["id"]) == record and api.list_pods() == [record]


def test_a_record_follows_the_pod(api: KubeAPI) -> None:
    """Millicores, MB of 10^6 bytes cut to a whole number, the newest ten lines."""
    lines = [(float(n), f"line {n}") for n in range(25)]
    api.register_log_source("node-1", lambda namespace, pod, container: lines)
    pod = a_running_pod(api)
    write = api.metrics_writer("default", "web")
    write(1.0, 1.0, "main", 100, 50_000_000, "side", 34, 26_999_999)
    record = api.get_pod(pod["metadata"]["uid"])
    assert (record["status"], record["cpu"], record["memory"]) == ("Running", 134, 76)
    assert record["logs"] == [f"line {n}" for n in range(15, 25)]
    assert record["node"] == "node-1"
    assert all(type(record[key]) is int for key in ("cpu", "memory"))
    pod["metadata"].pop("resourceVersion")
    api.update_status({**pod, "status": {"phase": "Succeeded"}})
    record = api.get_pod(pod["metadata"]["uid"])
    assert (record["status"], record["cpu"], record["memory"]) == ("Succeeded", 0, 0)


def test_the_list_holds_every_namespace_and_phase(api: KubeAPI) -> None:
    """Pending, running and completed, by namespace and name."""
    api.create({"kind": "Namespace", "metadata": {"name": "alpha"}})
    for name in ("b", "a"):
        api.create_pod(name)
    pod = api.get("Pod", "b")
    pod["metadata"] = {"name": "c", "namespace": "alpha"}
    api.create(pod)
    assert [(p["namespace"], p["name"]) for p in api.list_pods()] == [
        ("alpha", "c"),
        ("default", "a"),
        ("default", "b"),
    ]


# -- create ---


def test_create_pod_makes_a_bare_pod(api: KubeAPI) -> None:
    """200m CPU and 128Mi requested; run time and exit code as annotations, restart Never."""
    api.create_pod("plain")
    spec = api.get("Pod", "plain")["spec"]
    container = spec["containers"][0]
    assert (container["name"], container["image"]) == ("main", "kubesim/pod")
    assert container["resources"]["requests"] == {"cpu": "200m", "memory": "128Mi"}
    assert spec["restartPolicy"] == "Always"
    assert "annotations" not in api.get("Pod", "plain")["metadata"]
    api.create_pod("finite", run_seconds=20, exit_code=3)
    finite = api.get("Pod", "finite")
    assert finite["spec"]["restartPolicy"] == "Never"
    assert finite["metadata"]["annotations"] == {
        "kubesim.dev/run-seconds": "20",
        "kubesim.dev/exit-code": "3",
    }
    assert "ownerReferences" not in finite["metadata"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        None,
        5,
        ["a"],
        {"a": 1},
        True,
        "Web",
        "a_b",
        "a b",
        "-a",
        "a-",
        "a..b",
        "a\n",
        "ü",
        "a" * 254,
        "a/b",
        "..",
        " a",
    ],
)
def test_invalid_names(api: KubeAPI, name: Any) -> None:
    """The original's words, and nothing is made."""
    with pytest.raises(BadRequest) as refused:
        api.create_pod(name)
    assert refused.value.message == "Invalid pod name"
    assert api.list_pods() == []


def test_a_name_in_use(api: KubeAPI) -> None:
    """409, and the message says so."""
    api.create_pod("web")
    with pytest.raises(AlreadyExists, match='a pod named "web" already exists'):
        api.create_pod("web")


@pytest.mark.parametrize(
    "arguments",
    [
        {"run_seconds": -1},
        {"run_seconds": "5"},
        {"run_seconds": float("nan")},
        {"run_seconds": True},
        {"run_seconds": 5, "exit_code": 256},
        {"exit_code": "1"},
    ],
)
def test_run_times_and_exit_codes_that_make_no_sense(
    api: KubeAPI, arguments: dict[str, Any]
) -> None:
    """Refused with the value in the message."""
    with pytest.raises(BadRequest, match="must be a"):
        api.create_pod("web", **arguments)


# -- delete ---


def test_an_unbound_pod_is_gone_at_once(api: KubeAPI) -> None:
    """No time passes; its id is unknown afterwards, also to a second deletion."""
    id = api.create_pod("web")["id"]
    api.delete_pod(id)
    assert api.clock.now() == 0.0
    for call in (api.get_pod, api.delete_pod, api.seed.get_bytes, api.seed.find):
        with pytest.raises(NotFound) as refused:
            call(id)
        assert refused.value.message == "Pod not found"
    with pytest.raises(NotFound, match="Pod not found"):
        api.get_pod("no-such-id")


def kubelet(api: KubeAPI, stop_seconds: float) -> None:
    """The least kubelet: stops marked pods after a while, writes Succeeded, deletes them."""
    worker = api.clock.worker("kubelet")

    def look() -> None:
        for event in watch.poll():
            if event.type != "DELETED" and "deletionTimestamp" in event.object["metadata"]:
                if event.object["status"]["phase"] == "Running":
                    worker.call_later(stop_seconds, lambda pod=event.object: stop(pod))

    def stop(pod: Any) -> None:
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        done = {**api.get("Pod", name, namespace), "status": {"phase": "Succeeded"}}
        api.update_status(done)
        api.delete("Pod", name, namespace, grace_period_seconds=0, uid=pod["metadata"]["uid"])

    watch = api.watch("Pod", on_ready=lambda: worker.call_soon(look))


def test_delete_pod_waits_until_the_pod_has_stopped(api: KubeAPI) -> None:
    """On virtual time: exactly as long as the pod takes, and its last state was Succeeded."""
    kubelet(api, stop_seconds=7)
    id = a_running_pod(api)["metadata"]["uid"]
    watch = api.watch("Pod")
    api.delete_pod(id)
    assert api.clock.now() == 7.0
    events = watch.poll()
    assert events[-1].type == "DELETED"
    assert events[-1].object["status"]["phase"] == "Succeeded"
    assert api.list_pods() == []


def test_a_pod_that_does_not_stop_is_a_timeout(api: KubeAPI) -> None:
    """Its grace period and five seconds more; it stays marked, and nothing is pretended."""
    id = a_running_pod(api, terminationGracePeriodSeconds=10)["metadata"]["uid"]
    with pytest.raises(Timeout, match="did not stop within 10 s and 5 s more"):
        api.delete_pod(id)
    assert api.clock.now() == 15.0
    assert api.get("Pod", "web")["metadata"]["deletionGracePeriodSeconds"] == 10


def test_a_component_does_not_wait(api: KubeAPI) -> None:
    """Inside a worker delete_pod only asks; nothing there may sleep."""
    id = a_running_pod(api)["metadata"]["uid"]
    done = []

    def inside() -> None:
        api.delete_pod(id)
        done.append(api.clock.now())

    api.clock.worker("component").call_soon(inside)
    api.clock.sleep(1)
    assert done == [0.0]
    assert "deletionTimestamp" in api.get("Pod", "web")["metadata"]


def test_a_new_pod_of_the_old_name_is_not_the_old_pod(api: KubeAPI) -> None:
    """Gone means that this life is over, although the name lives on; ids never come back."""
    old = api.create_pod("web")["id"]
    assert api.seed.get_bytes(old)
    api.delete_pod(old)
    new = api.create_pod("web")["id"]
    assert new != old
    with pytest.raises(NotFound, match="Pod not found"):
        api.seed.get_bytes(old)
    with pytest.raises(NotFound, match="Pod not found"):
        api.delete_pod(old)
    assert api.get_pod(new)["name"] == "web"
    api.delete("Pod", "web")
    api.create(bare_pod("web"))  # not by create_pod: the index has not heard of it
    with pytest.raises(NotFound, match="Pod not found"):
        api.seed.get_bytes(new)


# -- kept JSON ---


def test_json_is_kept_while_nothing_changes(api: KubeAPI) -> None:
    """The same bytes object again and again, for one record and for the list."""
    ids = [api.create_pod(f"web-{n}")["id"] for n in range(5)]
    body = api.seed.list_bytes()
    assert json.loads(body) == api.list_pods()
    assert api.seed.list_bytes() is body
    one = api.seed.get_bytes(ids[0])
    assert json.loads(one) == api.get_pod(ids[0]) and one in body
    assert api.seed.get_bytes(ids[0]) is one
    api.clock.sleep(10)
    assert api.seed.list_bytes() is body and api.seed.get_bytes(ids[0]) is one


def test_json_follows_pod_sample_and_log(api: KubeAPI) -> None:
    """Each of the three is seen; what did not change is not made again."""
    log: list[tuple[float, str]] = []
    api.register_log_source("node-1", lambda namespace, pod, container: list(log))
    id = a_running_pod(api)["metadata"]["uid"]
    other = api.create_pod("other")["id"]
    write = api.metrics_writer("default", "web")
    kept = api.seed.get_bytes(other)
    for step in range(1, 4):
        write(1.0, 1.0, "main", 100 + step, (60 + step) * 1_000_000)
        for body in (api.seed.get_bytes(id), api.seed.list_bytes()):
            assert f'"cpu": {100 + step}, "memory": {60 + step}'.encode() in body
        log.append((float(step), f"tick {step}"))
        api.clock.sleep(1)
        for body in (api.seed.get_bytes(id), api.seed.list_bytes()):
            assert f"tick {step}".encode() in body, "a line alone is seen after a moment"
    assert api.seed.get_bytes(other) is kept
    api.delete("Pod", "web", grace_period_seconds=0)
    assert b'"web"' not in api.seed.list_bytes()
    assert json.loads(api.seed.list_bytes())[0]["name"] == "other"


def test_an_index_that_was_forgotten_is_built_again() -> None:
    """Nobody asks for an id while the store compacts; then all are found, and the dead are not."""
    api = make_api(history_limit=20)
    dead = api.create_pod("dead")["id"]
    assert api.get_pod(dead)
    api.delete_pod(dead)
    made = [
        api.create(
            json.loads(
                json.dumps(
                    {
                        "kind": "Pod",
                        "metadata": {"name": f"web-{n}"},
                        "spec": {"containers": [{"name": "m", "image": "i"}]},
                    }
                )
            )
        )["metadata"]["uid"]
        for n in range(100)
    ]
    assert [api.get_pod(id)["name"] for id in made] == [f"web-{n}" for n in range(100)]
    with pytest.raises(NotFound):
        api.get_pod(dead)
    assert len(api.seed._entries) == 100


# -- live ---


@pytest.mark.live
def test_delete_pod_waits_on_the_live_clock(live_api: KubeAPI) -> None:
    """The call returns when the pod has stopped and is removed, and not before."""
    kubelet(live_api, stop_seconds=2)
    id = a_running_pod(live_api)["metadata"]["uid"]
    live_api.delete_pod(id)
    assert live_api.list_pods() == []


@pytest.mark.live
def test_time_that_stands_still_is_no_endless_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A paused clock: the wait ends after the patience in wall time, with a Timeout."""
    monkeypatch.setattr("kubesim.simple.pods.LEAST_WALL_SECONDS", 0.5)
    clock = LiveClock(speed=100.0)
    try:
        api = make_api(clock)
        id = a_running_pod(api, terminationGracePeriodSeconds=1)["metadata"]["uid"]
        clock.pause()
        with pytest.raises(Timeout):
            api.delete_pod(id)
    finally:
        clock.resume()
        clock.close()


@pytest.mark.live
def test_ids_are_found_while_many_threads_create_and_delete() -> None:
    """Whoever is told an id can read it at once, whichever thread made it; afterwards nothing is
    left over in the index."""
    api = make_api(LiveClock())
    told: list[str] = []
    wrong: list[object] = []
    finished = threading.Event()

    def create_and_delete(thread: int) -> None:
        try:
            for number in range(60):
                name = f"pod-{thread}-{number % 7}"
                id = api.create_pod(name)["id"]
                told.append(id)
                assert json.loads(api.seed.get_bytes(id))["name"] == name
                api.delete_pod(id)
                with pytest.raises(NotFound):
                    api.seed.get_bytes(id)
        except BaseException as error:
            wrong.append(error)
            raise

    def read() -> None:
        while not finished.is_set():
            for id in told[-5:]:
                try:
                    assert json.loads(api.seed.get_bytes(id))["id"] == id
                except NotFound:
                    assert all(record["id"] != id for record in api.list_pods())
            json.loads(api.seed.list_bytes())

    writers = [threading.Thread(target=create_and_delete, args=(n,)) for n in range(6)]
    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in [*writers, *readers]:
        thread.start()
    for thread in writers:
        thread.join(30)
    finished.set()
    for thread in readers:
        thread.join(30)
    api.clock.close()
    assert not wrong and len(set(told)) == 360
    assert api.list_pods() == []
    assert api.seed.list_bytes() == b"[]"

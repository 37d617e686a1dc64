"""Many writers at once: nothing is lost, nobody overwrites unseen."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from api_builders import a_config_map, a_pod, a_statefulset, make_api

from kubesim.apiserver import KubeAPI
from kubesim.errors import AlreadyExists, Conflict, StatusError

THREADS = 10
ROUNDS = 30


def run_at_once(*jobs: Callable[[], None]) -> None:
    """Run each job in a thread of its own; raise what any of them raised."""
    errors: list[BaseException] = []
    gate = threading.Barrier(len(jobs))

    def run(job: Callable[[], None]) -> None:
        gate.wait(10)
        try:
            job()
        except BaseException as error:
            errors.append(error)
            raise

    threads = [threading.Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    if errors:
        raise errors[0]


@pytest.mark.live
def test_increments_with_retry_are_exact(api: KubeAPI) -> None:
    """Ten threads read, add one, write with the resourceVersion, and retry on Conflict."""
    api.create(a_config_map(n="0"))
    conflicts = []

    def increment() -> None:
        for _ in range(ROUNDS):
            while True:
                config = api.get("cm", "settings")
                config["data"]["n"] = str(int(config["data"]["n"]) + 1)
                try:
                    api.update(config)
                    break
                except Conflict:
                    conflicts.append(1)

    run_at_once(*[increment] * THREADS)
    assert api.get("cm", "settings")["data"]["n"] == str(THREADS * ROUNDS)
    versions = api.store.get("/registry/configmaps/default/settings")
    assert versions is not None and versions.version == THREADS * ROUNDS + 1


@pytest.mark.live
def test_narrow_writes_do_not_tread_on_each_other(api: KubeAPI) -> None:
    """Status, scale, labels, patches by different writers, without retries of their own."""
    api.create(a_statefulset())

    def status() -> None:
        for number in range(ROUNDS):
            api.update_status({**a_statefulset(), "status": {"observedGeneration": number}})

    def scale() -> None:
        for number in range(ROUNDS):
            api.update_scale("sts", "db", replicas=number)

    def label(name: str) -> Callable[[], None]:
        def patch() -> None:
            for number in range(ROUNDS):
                while True:  # a patch gives up after five writers were faster
                    try:
                        api.patch("sts", "db", {"metadata": {"labels": {name: str(number)}}})
                        break
                    except Conflict:
                        continue

        return patch

    run_at_once(status, scale, *[label(f"l-{n}") for n in range(4)])
    final = api.get("sts", "db")
    assert final["status"]["observedGeneration"] == ROUNDS - 1
    assert final["spec"]["replicas"] == ROUNDS - 1
    assert final["metadata"]["labels"] == {f"l-{n}": str(ROUNDS - 1) for n in range(4)}


@pytest.mark.live
def test_of_many_creators_one_wins(api: KubeAPI) -> None:
    """The others are told that the name is taken; every uid is another."""
    winners: list[str] = []

    def create() -> None:
        for number in range(ROUNDS):
            try:
                winners.append(api.create(a_pod(f"web-{number}"))["metadata"]["uid"])
            except AlreadyExists:
                continue

    run_at_once(*[create] * THREADS)
    assert len(winners) == len(set(winners)) == ROUNDS


@pytest.mark.live
def test_of_many_bindings_one_wins(api: KubeAPI) -> None:
    """Two schedulers never place one pod twice."""
    api.create(a_pod())
    bound: list[str] = []

    def bind(node: str) -> Callable[[], None]:
        def attempt() -> None:
            try:
                api.bind("web", "default", node)
            except Conflict:
                return
            bound.append(node)

        return attempt

    run_at_once(*[bind(f"node-{n}") for n in range(THREADS)])
    assert [api.get("Pod", "web")["spec"]["nodeName"]] == bound


@pytest.mark.live
def test_a_watch_misses_nothing_of_many_writers(api: KubeAPI) -> None:
    """Each change once, in order of revision, while ten threads write."""
    watch = api.watch("cm")
    events = []

    def write(thread: int) -> Callable[[], None]:
        def work() -> None:
            for number in range(ROUNDS):
                api.create(a_config_map(f"c-{thread}-{number}"))
                api.delete("cm", f"c-{thread}-{number}")

        return work

    def read() -> None:
        while len(events) < 2 * THREADS * ROUNDS:
            watch.wait(1.0)
            events.extend(watch.poll())

    run_at_once(read, *[write(n) for n in range(THREADS)])
    revisions = [event.revision for event in events]
    assert revisions == sorted(set(revisions)) and len(revisions) == 2 * THREADS * ROUNDS
    assert sum(event.type == "ADDED" for event in events) == THREADS * ROUNDS


@pytest.mark.live
def test_a_namespace_ends_in_one_piece() -> None:
    """Threads create in it: once it is marked nothing comes in, and one sweep empties it."""
    for _ in range(5):
        api = make_api()
        api.create({"kind": "Namespace", "metadata": {"name": "shop"}})

        def create(thread: int, api: KubeAPI = api) -> Callable[[], None]:
            def work() -> None:
                for number in range(ROUNDS):
                    try:
                        api.create(a_config_map(f"c-{thread}-{number}"), namespace="shop")
                    except StatusError:
                        return

            return work

        def delete(api: KubeAPI = api) -> None:
            api.delete("Namespace", "shop")

        run_at_once(delete, *[create(n) for n in range(4)])
        inside = api.snapshot("cm", "shop")[0]
        for config in inside:
            api.delete("cm", config["metadata"]["name"], "shop")
        api.finalize({"metadata": {"name": "shop"}, "spec": {"finalizers": []}})
        assert api.peek("Namespace", "shop") is None
        assert api.snapshot("cm", "shop")[0] == []

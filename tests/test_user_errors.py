"""Code of users that calls `sys.exit()` or answers nonsense: a failure, and nothing ends by it."""

from __future__ import annotations

import sys
import threading
from typing import Any, NoReturn

import pytest

from kubesim import Cluster
from kubesim.clock import LiveClock
from kubesim.scheduler import default_profile


class Leaving:
    """Calls `sys.exit()` whatever it is asked."""

    name = "leaving"

    def _leave(self, *_: object) -> NoReturn:
        sys.exit(3)

    recommend = choose = rate = usage = _leave

    def __call__(self, *_: object) -> NoReturn:
        self._leave()


class LeavingFilter:
    """A scheduler plug-in that calls `sys.exit()`."""

    name = "LeavingFilter"

    def filter(self, _pod: Any, _node: Any) -> NoReturn:
        sys.exit(3)


def pod(**annotations: str) -> dict[str, Any]:
    """The pod x, whose usage follows the model m."""
    annotations = {"kubesim.dev/workload": '{"model": "m"}', **annotations}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x", "annotations": annotations},
        "spec": {"containers": [{"name": "c", "image": "busybox"}]},
    }


def failures(cluster: Cluster) -> str:
    """The rows of the log above info, one a line."""
    return "\n".join(str(row) for row in cluster.analytics.since(0, level="warn").rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"policy": Leaving()}, "the policy raised SystemExit: 3"),
        ({"profile": Leaving()}, "running choose of 'leaving': SystemExit: 3"),
        ({"profile": [*default_profile(), LeavingFilter()]}, "plugin 'LeavingFilter': SystemExit"),
        ({"sink": Leaving()}, "the sink is switched off: it raised SystemExit: 3"),
        ({"workloads": {"m": lambda _: Leaving()}}, "Pod x failed: SystemExit: 3"),
    ],
    ids=["policy", "choose", "plugin", "sink", "usage"],
)
@pytest.mark.filterwarnings("ignore:the sink is switched off")
def test_an_exit_in_code_of_users_is_a_failure(options: dict[str, Any], message: str) -> None:
    """It is logged with its line, and time goes on."""
    with Cluster(2, **options) as cluster:
        if "workloads" in options:
            cluster.api.create(pod())
        cluster.sleep(60)
        assert message in failures(cluster)
        assert cluster.clock.now() == 60


def test_a_traffic_model_that_exits_sends_nothing() -> None:
    """Each second is logged; the traffic component goes on."""
    with Cluster(2) as cluster:
        cluster.set_traffic(Leaving())
        cluster.sleep(60)
        assert "the traffic model raised SystemExit: 3" in failures(cluster)
        assert cluster.traffic.statistics()["auto-pod"] >= 0


def test_a_factory_that_exits_refuses_its_pod() -> None:
    """The pod fails with the reason; traffic to its Service goes on without it."""
    with Cluster(2, workloads={"m": Leaving()}) as cluster:
        cluster.set_traffic(5)
        cluster.api.create(pod())
        cluster.sleep(30)
        status = cluster.api.get("Pod", "x")["status"]
        assert (status["phase"], status["reason"]) == ("Failed", "InvalidWorkload")
        assert "3" in status["message"]
        assert not cluster.failures


@pytest.mark.parametrize("answer", [("a", "b"), (None, 1), (float("nan"), 1), (1, float("inf")), 5])
def test_a_usage_that_is_no_number_ends_the_container(answer: Any) -> None:
    """As if the program had crashed; the kubelet's sums never meet it."""

    class Odd:
        def usage(self, _now: float, _load: float | None) -> Any:
            return answer

    with Cluster(2, workloads={"m": lambda _: Odd()}) as cluster:
        cluster.api.create(pod())
        cluster.sleep(30)
        status = cluster.api.get("Pod", "x")["status"]["containerStatuses"][0]
        assert status["restartCount"] > 0
        assert "Pod x failed: TypeError" in failures(cluster)


def test_a_probe_that_raises_has_failed() -> None:
    """A model that answers probes and raises: the pod runs, and is not ready."""

    class Unsure:
        def usage(self, _now: float, _load: float | None) -> tuple[int, int]:
            return 10, 10

        def probe(self, _kind: str, _now: float) -> bool:
            raise LookupError("no idea")

    with Cluster(2, workloads={"m": lambda _: Unsure()}) as cluster:
        document = pod()
        document["spec"]["containers"][0]["readinessProbe"] = {"tcpSocket": {"port": 80}}
        cluster.api.create(document)
        cluster.sleep(30)
        status = cluster.api.get("Pod", "x")["status"]
        assert status["phase"] == "Running"
        assert not status["containerStatuses"][0]["ready"]
        messages = [event["message"] for event in cluster.api.list("Event")["items"]]
        assert any("LookupError: no idea" in message for message in messages)


@pytest.mark.parametrize("answer", [["node-1"], {}, 5, ("node-1",)])
def test_a_choice_that_is_no_node_is_said(answer: Any) -> None:
    """Whatever its type: the pod stays pending, and the message shows the answer."""

    class Odd:
        name = "odd"

        def choose(self, _pod: Any, _nodes: Any) -> Any:
            return answer

    with Cluster(2, profile=Odd()) as cluster:
        cluster.sleep(10)
        assert f"'odd' chose {answer!r}, which is not a node" in failures(cluster)


@pytest.mark.live
@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, BaseException])
def test_no_error_ends_a_component_on_the_live_clock(error: type[BaseException]) -> None:
    """The thread goes on with the next callback, and the error is reported."""
    clock = LiveClock(speed=100)
    reported: list[BaseException] = []
    ran = threading.Event()
    clock.on_failure(lambda _worker, raised: reported.append(raised) is None)
    worker = clock.worker("component")

    def fail() -> NoReturn:
        raise error("on purpose")

    worker.call_soon(fail)
    worker.call_soon(ran.set)
    try:
        assert ran.wait(60)
        assert [type(raised) for raised in reported] == [error]
    finally:
        clock.close()


@pytest.mark.live
def test_a_policy_that_exits_is_seen_on_the_live_clock() -> None:
    """The HPA goes on: each sync reports the failure."""
    with Cluster(1, clock="live", speed=100, policy=Leaving()) as cluster:
        assert cluster.wait_until(lambda: failures(cluster).count("SystemExit: 3") > 2, 2_000)
        assert not cluster.failures

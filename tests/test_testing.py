"""The lab in which operators and clients are tested."""

from __future__ import annotations

from urllib.request import urlopen

import pytest

from kubesim import testing
from kubesim.errors import BadRequest
from kubesim.testing import Lab

pytestmark = pytest.mark.live
lab = testing.fixture(nodes=1, seed=3)


def test_the_fixture_gives_a_fresh_cluster_that_is_ready(lab: Lab) -> None:
    """One Ready node, no workload, a server and a kubeconfig that names it."""
    (node,) = lab.cluster.api.list("Node")["items"]
    ready = [c["status"] for c in node["status"]["conditions"] if c["type"] == "Ready"]
    assert ready == ["True"]
    assert lab.cluster.api.list("Pod")["items"] == []
    with urlopen(f"{lab.url}/readyz", timeout=10) as reply:
        assert reply.read() == b"ok"
    assert f'server: "{lab.url}"' in lab.kubeconfig().read_text()


def test_time_passes_only_when_the_test_lets_it(lab: Lab) -> None:
    """advance to the second; wait_until as long as it takes, and no longer than it may."""
    start = lab.cluster.clock.now()
    lab.advance(3600)
    assert lab.cluster.clock.now() == start + 3600
    lab.cluster.api.create_pod("a")
    lab.wait_until(lambda: lab.cluster.api.get("Pod", "a")["status"]["phase"] == "Running")
    assert lab.cluster.clock.now() < start + 3660
    with pytest.raises(AssertionError, match="after 10 simulated seconds"):
        lab.wait_until(lambda: False, timeout=10)
    assert lab.cluster.clock.now() < start + 3680


def test_time_can_pass_by_itself_beside_the_test(lab: Lab) -> None:
    """Inside driven() the clock runs; after it, it stands still again."""
    lab.cluster.api.create_pod("a")
    watch = lab.cluster.api.watch("Pod")
    with lab.driven(pace=100):
        assert watch.wait(10)
    now = lab.cluster.clock.now()
    assert watch.poll()
    assert lab.cluster.clock.now() == now


def test_what_fails_while_time_is_driven_is_told_to_the_test(lab: Lab) -> None:
    """A component that raises does so in the test, not in a background thread."""
    worker = lab.cluster.clock.worker("broken")
    failed = []

    def fail() -> None:
        failed.append(True)
        raise ZeroDivisionError("broken component")

    worker.call_later(1, fail)
    with pytest.raises(Exception, match="broken component"), lab.driven(pace=100):
        for _ in range(500):
            if failed:
                break
            testing.threading.Event().wait(0.02)


def test_a_lab_is_on_virtual_time_and_closes_twice() -> None:
    """A live clock is refused; closing again does no harm."""
    with pytest.raises(BadRequest, match="virtual time"):
        Lab(clock="live")
    made = Lab(nodes=0, settle=0)
    made.close()
    made.close()


def test_the_same_steps_give_the_same_run() -> None:
    """Two labs of one seed, driven step by step, have the same history."""
    digests = []
    for _ in range(2):
        with Lab(nodes=2, seed=5, digest=True) as made:
            for index in range(3):
                made.cluster.api.create_pod(f"p{index}")
                made.advance(7)
            digests.append(made.cluster.digest())
    assert digests[0] == digests[1]

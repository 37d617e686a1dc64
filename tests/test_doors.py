"""Arguments of another type at the public doors: BadRequest says what was expected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import lessons
from kubesim import Cluster
from kubesim.errors import BadRequest
from kubesim.experiment import Contender, World, compare, simulate
from kubesim.testing import Lab
from kubesim.traffic import (
    Constant,
    Diurnal,
    Noisy,
    Poisson,
    Queue,
    Ramp,
    Replay,
    Sine,
    Spike,
    Step,
    from_csv,
)

NAN, INFINITY = float("nan"), float("inf")
SMALL: dict[str, Any] = {"policies": {"a": Contender()}, "traffic": {"t": Constant(1)}}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Constant("60"), r"requests_per_second must be a number.*requests_per_second=60"),
        (lambda: Constant(NAN), "requests_per_second must be a number, not nan"),
        (lambda: Step(1, None, 3), "after must be a number, not None"),
        (lambda: Ramp(0, INFINITY, 0, 9), "end must be a finite number, not inf"),
        (lambda: Spike(1, 2, "3", 4), "at_seconds must be a number"),
        (lambda: Sine(True, 1), "base must be a number, not True"),
        (lambda: Diurnal(1, [2]), r"high must be a number, not \[2\]"),
        (lambda: Noisy(60), "model must be a traffic model, not 60"),
        (lambda: Noisy(Constant(1), seed="x"), "seed must be a whole number"),
        (lambda: Poisson("60"), "the rate must be a number of requests per second"),
        (lambda: Poisson(60, seed=None), "seed must be a whole number, not None"),
        (lambda: Replay("x"), r"needs \(second, rate\) pairs of numbers"),
        (lambda: Replay(None), r"needs \(second, rate\) pairs of numbers"),
        (lambda: Replay([(0, NAN)]), "numbers of a replay must be finite"),
        (lambda: Queue(limit="3"), "limit must be a number"),
        (lambda: Queue(retries=None), "retries must be a number"),
        (lambda: Queue(wasted_work=1), "wasted_work must be True or False"),
        (lambda: from_csv(None), "path must be the path of a file, not None"),
        (lambda: from_csv(1), "path must be the path of a file, not 1"),
        (lambda: from_csv("x", interval_seconds="60"), "interval_seconds must be a number"),
        (lambda: from_csv("x", column=1.5), "column must be the name or the index of a column"),
        (lambda: from_csv("x", scale="2"), "scale must be a number"),
    ],
)
def test_traffic(make: Callable[[], object], message: str) -> None:
    """A model fails when it is made, not in each second of the balancer."""
    with pytest.raises(BadRequest, match=message):
        make()


def test_traffic_may_be_infinitely_late() -> None:
    """Times may be infinite, rates may be any finite number; a negative rate is none."""
    assert Step(1, 2, INFINITY).rate(9e9) == 1
    assert Constant(-5).rate(0) == 0
    assert Queue(limit=INFINITY).limit == INFINITY


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Contender(target="70"), r"target must be a whole number, not '70' \(write target"),
        (lambda: Contender(target=0), "target must be 1 or more"),
        (lambda: Contender(minimum=None), "minimum must be a whole number"),
        (lambda: Contender(maximum="9"), "maximum must be a whole number"),
        (lambda: Contender(metrics="cpu"), "metrics must be a list of metrics"),
        (lambda: Contender(behavior=[]), "behavior must be a mapping"),
        (lambda: Contender(sync_seconds="15"), "sync_seconds must be a number"),
        (lambda: Contender(constants={}), "constants must be PolicyConstants"),
        (lambda: World(pods="1"), "pods must be a whole number"),
        (lambda: World(request_milli=-1), "request_milli must be above 0"),
        (lambda: World(queue=3), "queue must be a Queue"),
        (lambda: World(metrics_resolution=-1), "metrics_resolution must be at least 0 seconds"),
        (lambda: World(limit_milli=None), "limit_milli must be a number"),
        (lambda: compare("x", {"t": Constant(1)}), "policies must be a mapping"),
        (lambda: compare({"a": Contender()}, Constant(1)), "traffic must be a mapping"),
        (lambda: compare({"a": Contender()}, {"t": 60}), "traffic must be a mapping from names to"),
        (lambda: compare(**SMALL, seeds=3), "seeds must be a list of whole numbers, not 3"),
        (lambda: compare(**SMALL, seeds="12"), "seeds must be a list of whole numbers"),
        (lambda: compare(**SMALL, duration="1h"), "duration must be a number"),
        (lambda: compare(**SMALL, duration=INFINITY), "duration must be a finite number"),
        (lambda: compare(**SMALL, world={}), "world must be a World, or None"),
        (lambda: compare(**SMALL, executor=4), "executor must be an executor, or None"),
        (lambda: simulate(Contender(), 60, duration=9), "traffic must be a traffic model"),
        (lambda: simulate(Contender(), Constant(1), duration=NAN), "duration must be at least 0"),
        (lambda: simulate(3, Constant(1), duration=9), "3 is not a policy"),
    ],
)
def test_experiments(make: Callable[[], object], message: str) -> None:
    """An experiment fails before its first run."""
    with pytest.raises(BadRequest, match=message):
        make()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda c: c.wait_until(True), "predicate must be a function, not True"),
        (lambda c: c.wait_until(bool, timeout_seconds="9"), "timeout_seconds must be a number"),
        (lambda c: c.pods(3), "namespace must be a string, or None, not 3"),
        (lambda c: c.get(["pods"]), 'kind must be a string such as "pods"'),
        (lambda c: c.get("pods", label_selector={}), "label_selector must be a string"),
        (lambda c: c.get("pods", labels="a=b"), "there is no option 'labels' .*label_selector"),
        (lambda c: c.apply([], namespace=3), "namespace must be a string"),
        (lambda c: c.delete([], dry_run=True), "there is no option 'dry_run'"),
        (lambda c: c.serve(token=3), "token must be a string, or None, not 3"),
        (
            lambda c: c.serve(users=[{"name": "a", "token": "t" * 9}]),
            "users must be a list of User",
        ),
        (lambda c: c.serve(users=["ann"]), "users must be a list of User, not of 'ann'"),
        (lambda c: c.serve(allowed_hosts="hub"), "allowed_hosts must be a list of host names"),
        (lambda c: Lab(serve="x"), "serve must be a dictionary, or None, not 'x'"),
        (lambda c: Lab(settle="5"), "seconds must be a number"),
        (lambda c: c.serve(tsl=True), "there is no option 'tsl' .*tls"),
        (lambda c: c.node("node-1").taint(None), "text must be a string such as"),
        (lambda c: c.node("node-1").taint("a:NoSchedule", overwrite=1), "overwrite must be True"),
        (lambda c: c.node("node-1").untaint(3), "text must be a string such as"),
        (lambda c: c.node("node-1").drain("30"), "grace_period_seconds must be a whole number"),
        (lambda c: c.node("node-1").drain(force="yes"), "force must be True or False"),
    ],
)
def test_methods_of_a_cluster(call: Callable[[Cluster], object], message: str) -> None:
    """Nothing is done then."""
    with Cluster(nodes=1, hpa=False) as cluster:
        cluster.sleep(1)
        revision = cluster.api.store.revision
        with pytest.raises(BadRequest, match=message):
            call(cluster)
        assert cluster.api.store.revision == revision


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lessons.Cockpit(speed="fast"), "speed must be a number, not 'fast'"),
        (lambda: lessons.Cockpit(name=["a"]), "name must be a string"),
        (lambda: lessons.RolloutPanel(running="no"), "running must be True or False"),
        (lambda: lessons.SchedulerPanel(weight=None), "weight must be a whole number"),
        (lambda: lessons.SchedulerPanel(pods="3"), r"pods must be a whole number.*write pods=3"),
        (lambda: lessons.TuningPanel(70), "tuning must be a Tuning, or None, not 70"),
        (lambda: lessons.TuningPanel(seed="x"), "seed must be a whole number"),
        (lambda: lessons.record(None, 60), "cluster must be a Cluster, not None"),
        (lambda: lessons.watch_rollout("web", 60), "cluster must be a Cluster, not 'web'"),
        (lambda: lessons.fill(3), "cluster must be a Cluster, not 3"),
        (lambda: lessons.pod("p", labels="app=web"), "labels must be a mapping from names to"),
    ],
)
def test_lessons(make: Callable[[], object], message: str) -> None:
    """A panel is not opened, and no time passes."""
    pytest.importorskip("ipywidgets", reason="the lessons' packages are not installed")
    with pytest.raises(BadRequest, match=message):
        make()


@pytest.mark.parametrize("seconds", ["60", NAN, -1])
def test_a_recorded_run_takes_seconds(seconds: Any) -> None:
    """A finite number of 0 or more."""
    with Cluster(nodes=1) as cluster, pytest.raises(BadRequest, match="seconds must be"):
        lessons.record(cluster, seconds)

"""What every controller promises: the contract, over a table of controllers and scenarios.

Controllers are level-triggered. Reconciling twice is reconciling once; late and lost watch events,
conflicts, the order of simultaneous events and a restart in the middle cost time and change no
outcome. At the end of the file each promise is broken by a controller on purpose, and found.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from contract_cases import SCENARIOS, Scenario
from controller_faults import Flaky, controller_of, lose_watch_events, replace_controller

from kubesim import Cluster
from kubesim.client import Controller, Informer
from kubesim.clock import VirtualClock
from kubesim.controllers import CONTROLLERS, ReplicaSetController
from kubesim.objects import meta

STEP_SECONDS = 0.7
RESYNC_SECONDS = 40.0
REPLICASET = next(row for row in SCENARIOS if row.controller is ReplicaSetController)
BY_CONTROLLER = pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda row: row.id)


# -- the promises ----------------------------------------------------------------------------------


def a_cluster(seed: int = 1, shuffle_seed: int | None = None) -> Cluster:
    """Three nodes, nothing on them."""
    return Cluster(nodes=3, seed=seed, hpa=False, clock=VirtualClock(shuffle_seed=shuffle_seed))


def settle(
    cluster: Cluster, scenario: Scenario, each_step: Callable[[], object] = lambda: None
) -> None:
    """Run until nothing changes any more; the invariant holds at each step."""
    for _ in range(round(scenario.settle_seconds / STEP_SECONDS)):
        cluster.sleep(STEP_SECONDS)
        each_step()
        scenario.invariant(cluster)


def play(
    cluster: Cluster, scenario: Scenario, each_step: Callable[[], object] = lambda: None
) -> object:
    """Create, settle; change, settle ...; return the outcome."""
    for act in (scenario.create, *scenario.changes):
        act(cluster)
        settle(cluster, scenario, each_step)
    return scenario.outcome(cluster)


_expected: dict[str, object] = {}


def expected(scenario: Scenario) -> object:
    """The outcome without any fault."""
    if scenario.id not in _expected:
        with a_cluster() as cluster:
            _expected[scenario.id] = play(cluster, scenario)
    return _expected[scenario.id]


def check_twice_is_once(scenario: Scenario, kind: type[Controller]) -> None:
    """Reconciling again writes nothing and decides nothing, before and after the change."""
    with a_cluster() as cluster:
        controller = substitute(cluster, scenario, kind)
        for act in (scenario.create, *scenario.changes):
            act(cluster)
            settle(cluster, scenario)
            revision, decisions = cluster.store.revision, cluster.decisions.since(0)[1]
            for key in (*scenario.keys, *scenario.keys):
                controller.reconcile(key)
            assert cluster.store.revision == revision
            assert cluster.decisions.since(0)[1] == decisions


def check_late_events(scenario: Scenario, kind: type[Controller], latency: float) -> None:
    """All watch events arrive late, and the keys are reconciled again and again in between."""

    class Late(kind):  # type: ignore[misc, valid-type]
        def informer(self, *args: Any, **options: Any) -> Informer:
            return super().informer(*args, **{**options, "latency_seconds": latency})

    with a_cluster() as cluster:
        late = substitute(cluster, scenario, Late)

        def wake() -> None:
            for key in scenario.keys:
                late.queue.add(key)

        outcome = play(cluster, scenario, wake)
        for _ in range(3):
            settle(cluster, scenario)
        assert scenario.outcome(cluster) == expected(scenario), outcome


def check_lost_events(scenario: Scenario, kind: type[Controller]) -> None:
    """The watch events of the change are lost; the resync repairs it."""
    with a_cluster() as cluster:
        controller = substitute(cluster, scenario, kind, resync_seconds=RESYNC_SECONDS)
        scenario.create(cluster)
        settle(cluster, scenario)
        for change in scenario.changes:
            change(cluster)
            lose_watch_events(controller)
            cluster.sleep(RESYNC_SECONDS + 1)
            settle(cluster, scenario)
        assert scenario.outcome(cluster) == expected(scenario)


def check_conflicts(scenario: Scenario, kind: type[Controller], seed: int) -> None:
    """One write of a component in seven fails with a Conflict."""
    with a_cluster(seed) as cluster:
        substitute(cluster, scenario, kind)
        flaky = Flaky(cluster.api, 0.15, seed, when=cluster.clock.inside_worker)
        play(cluster, scenario)
        settle(cluster, scenario)
        flaky.share = 0.0
        settle(cluster, scenario)
        assert flaky.raised > 0
        assert scenario.outcome(cluster) == expected(scenario)


def check_shuffled_ties(scenario: Scenario, kind: type[Controller], seed: int) -> None:
    """Simultaneous events are processed in another order."""
    with a_cluster(shuffle_seed=seed) as cluster:
        substitute(cluster, scenario, kind)
        assert play(cluster, scenario) == expected(scenario)


def check_restart(scenario: Scenario, kind: type[Controller]) -> None:
    """The controller is restarted again and again."""
    with a_cluster() as cluster:
        substitute(cluster, scenario, kind)
        steps = [0]

        def restart() -> None:
            steps[0] += 1
            if steps[0] < 20 and steps[0] % 3 == 0:
                replace_controller(cluster, kind)

        for act in (scenario.create, *scenario.changes):
            steps[0] = 0
            act(cluster)
            settle(cluster, scenario, restart)
        settle(cluster, scenario)
        assert scenario.outcome(cluster) == expected(scenario)


def substitute(
    cluster: Cluster, scenario: Scenario, kind: type[Controller], **options: Any
) -> Controller:
    """The controller of that class, which takes the place of the cluster's own."""
    if kind is scenario.controller and not options:
        return controller_of(cluster, kind)
    old = controller_of(cluster, scenario.controller)
    old.stop()
    fresh = kind(cluster.tools, **options)
    cluster.controllers[cluster.controllers.index(old)] = fresh
    fresh.start()
    return fresh


# -- every controller keeps them -------------------------------------------------------------------


@BY_CONTROLLER
def test_reconciling_twice_is_reconciling_once(scenario: Scenario) -> None:
    """Nothing is left to do for the second pass."""
    check_twice_is_once(scenario, scenario.controller)


@BY_CONTROLLER
@pytest.mark.parametrize("latency", [0.4, 4.0])
def test_late_watch_events_change_no_outcome(scenario: Scenario, latency: float) -> None:
    """A stale cache costs time; the invariant holds throughout."""
    check_late_events(scenario, scenario.controller, latency)


@BY_CONTROLLER
def test_lost_watch_events_are_repaired_by_the_resync(scenario: Scenario) -> None:
    """The next list finds what no event reported."""
    check_lost_events(scenario, scenario.controller)


@BY_CONTROLLER
@pytest.mark.parametrize("seed", [1, 2])
def test_conflicts_change_no_outcome(scenario: Scenario, seed: int) -> None:
    """A failed write is retried."""
    check_conflicts(scenario, scenario.controller, seed)


@BY_CONTROLLER
@pytest.mark.parametrize("seed", [1, 2])
def test_the_order_of_simultaneous_events_does_not_matter(scenario: Scenario, seed: int) -> None:
    """Shuffled ties: the same outcome."""
    check_shuffled_ties(scenario, scenario.controller, seed)


@BY_CONTROLLER
def test_a_restart_in_the_middle_changes_no_outcome(scenario: Scenario) -> None:
    """A fresh controller continues from what the store holds."""
    check_restart(scenario, scenario.controller)


# -- and a controller that breaks one is found -----------------------------------------------------


class WritesEachTime(ReplicaSetController):
    """Counts its passes in an annotation."""

    def reconcile(self, key: str) -> None:
        super().reconcile(key)
        result = self.api.peek("ReplicaSet", "web", "default")
        if result is not None:
            passes = int(meta.annotations_of(result).get("passes", "0")) + 1
            patch = {"metadata": {"annotations": {"passes": str(passes)}}}
            if not self.clock.inside_worker():
                self.api.patch("ReplicaSet", "web", patch)


class WithoutExpectations(ReplicaSetController):
    """Trusts its cache."""

    def unsatisfied_expectations(self, key: str) -> int:
        return 0


class WithoutResync(ReplicaSetController):
    """Lists once."""

    def informer(self, *args: Any, **options: Any) -> Informer:
        return super().informer(*args, **{**options, "resync_seconds": 0.0})


class GivesUp(ReplicaSetController):
    """Ignores a key after its first failure."""

    failed = False

    def reconcile(self, key: str) -> None:
        if not self.failed:
            self.failed = True
            super().reconcile(key)
            self.failed = False


class FirstComeFirstServed(ReplicaSetController):
    """Two workers race at one moment, and the first one decides the size."""

    def start(self) -> None:
        super().start()
        for size, rival in enumerate("abcd", 1):
            self.clock.worker(rival).call_later(10.0, lambda size=size: self._race(size))

    def _race(self, size: int) -> None:
        result = self.api.peek("ReplicaSet", "web", "default")
        if result is not None and "size" not in meta.annotations_of(result):
            patch = {"metadata": {"annotations": {"size": str(size)}}}
            self.api.patch("ReplicaSet", "web", patch)

    def reconcile(self, key: str) -> None:
        super().reconcile(key)
        result = self.api.peek("ReplicaSet", "web", "default")
        size = meta.annotations_of(result or {}).get("size")
        if result is not None and size and result["spec"]["replicas"] == 2:
            self.api.update_scale("ReplicaSet", "web", replicas=int(size))


class Remembers(ReplicaSetController):
    """Counts what it created, instead of what exists."""

    created = 0

    def reconcile(self, key: str) -> None:
        replicaset = self.owners.get(key)
        while replicaset is not None and self.created < replicaset["spec"]["replicas"]:
            document = replicaset["spec"]["template"]
            self.created += 1
            metadata = {**document["metadata"], "generateName": "web-"}
            pod = {"kind": "Pod", "metadata": {**metadata, "namespace": "default"}}
            self.api.create({**pod, "spec": document["spec"]})


BROKEN: tuple[tuple[type[Controller], Callable[[Scenario, type[Controller]], object]], ...] = (
    (WritesEachTime, check_twice_is_once),
    (WithoutExpectations, lambda row, kind: check_late_events(row, kind, 4.0)),
    (WithoutResync, check_lost_events),
    (GivesUp, lambda row, kind: [check_conflicts(row, kind, seed) for seed in range(9)]),
    (FirstComeFirstServed, lambda row, kind: [check_shuffled_ties(row, kind, s) for s in range(6)]),
    (Remembers, check_restart),
)


@pytest.mark.parametrize(
    ("kind", "check"), BROKEN, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_controller_that_breaks_a_promise_is_found(kind: Any, check: Any) -> None:
    """Each check fails for the controller that breaks its promise."""
    with pytest.raises(AssertionError):
        check(REPLICASET, kind)


def test_every_controller_has_a_scenario() -> None:
    """A new controller signs the contract, too."""
    assert {scenario.controller for scenario in SCENARIOS} == set(CONTROLLERS)

"""The autoscaling loop without the control plane: traffic, queue, metrics, policy, pods.

The parts are those of the whole simulator - the same traffic models, queue, two points of the
metrics-server, and policy - but without objects, watches, scheduler and kubelets between them: a
decision always becomes pods after `World.start_seconds`. A day takes milliseconds, so that policies
can be compared over many seeds. `compare(detail="cluster")` shows the effect of the control plane.

Ours leaves out: full nodes, pods that fail, conflicts.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import inf
from typing import TYPE_CHECKING, cast

from kubesim import arguments
from kubesim.arguments import Check, check_arguments
from kubesim.autoscaler.hpa_spec import behavior_of, metrics_of
from kubesim.autoscaler.policy.figures import SampleSums
from kubesim.autoscaler.policy.horizontal import HorizontalPolicy, tolerances
from kubesim.autoscaler.policy.normalize import after_proposal, after_rescale, limits_at
from kubesim.autoscaler.policy.replica_calculator import PodsTarget
from kubesim.autoscaler.records import checked
from kubesim.autoscaler.types import Metric, Observation, Reading, Sample, State
from kubesim.experiment.fleet import Fleet
from kubesim.experiment.scores import BINS, LatencyTally, Run, Scores, count_flaps, pod_seconds
from kubesim.experiment.setting import IS_WORLD, Contender, PolicySource, World
from kubesim.traffic import Flow, TrafficModel
from kubesim.traffic.queueing import MOST_LOADED, P95, FluidQueue

if TYPE_CHECKING:
    from kubesim.objects.types import HorizontalPodAutoscalerDict

TRAFFIC_METRICS = ("requests_per_second", "queue_length")
OPTIONS: Mapping[str, Check] = {
    "traffic": arguments.having("rate", "a traffic model, with a method rate(now)"),
    "duration": arguments.number(unit="seconds"),
    "world": IS_WORLD,
}


class Simulation:
    """One run of the model.

    Args:
        contender: the policy and its HPA.
        traffic: requests per second over time.
        world: what is scaled.
        alike: use a shorter computation for pods with equal samples; the result is the same.
    """

    def __init__(
        self, contender: Contender, traffic: TrafficModel, world: World, *, alike: bool = True
    ) -> None:
        self.world = world
        self.contender = contender
        self._rate = traffic.rate
        self._policy = contender.make_policy()
        spec = cast("HorizontalPodAutoscalerDict", {"spec": contender.spec()})
        self._metrics: list[Metric] = [metric for metric, _ in metrics_of(spec)]
        self._behavior = behavior_of(spec)
        self._tolerance = tolerances(self._behavior, contender.constants)
        self._plain = (  # the real algorithm on CPU alone
            alike
            and type(self._policy) is HorizontalPolicy
            and len(self._metrics) == 1
            and self._metrics[0].by_request
            and self._metrics[0].name == "cpu"
        )
        self._state = State()
        self._queue = FluidQueue(world.queue)
        self._fleet = Fleet(world)
        self._cpu = 0.0  # millicores of each ready pod in the last step
        self._counter = 0.0  # millicore seconds of a pod that was ready from the start
        self._arrived = self._queued = 0.0  # requests in the last step, and after it
        self.sizes: list[tuple[float, int]] = [(0.0, world.pods)]
        self.tally = LatencyTally(world.rate_of_a_pod)
        self.offered = self.unmet = self.slow_seconds = 0.0

    def run(self, duration: float) -> Scores:
        """Simulate that many seconds, and return the scores."""
        world, fleet, step = self.world, self._fleet, self.world.step_seconds
        sync, scrape = self.contender.sync_seconds, world.metrics_resolution or 0.0
        next_sync, next_scrape = sync, scrape
        rate, queue, calm = self._rate, self._queue, self.tally.calm
        idle, busy = world.idle_milli, world.limit_milli - world.idle_milli
        slow_share, now, steps = _slow(world), 0.0, 0
        while now < duration:
            if fleet.starting:
                fleet.become_ready(now, self._counter)
            if scrape and now >= next_scrape:
                fleet.scrape(now, self._counter)
                next_scrape += scrape
            if now >= next_sync:
                self._sync(now)
                next_sync += sync
            arrivals = rate(now) * step
            if 0 < arrivals <= fleet.capacity and queue.empty:
                # No request waits, the most frequent case: as below, in few operations.
                share = arrivals / fleet.capacity
                self.offered += arrivals
                self._arrived, self._queued = arrivals, 0.0
                self._cpu = cpu = idle + busy * share
                self._counter += cpu * step
                calm[int(share * BINS)] += arrivals
                if share > slow_share:
                    self.slow_seconds += step
            else:
                self._account(queue.step(now, arrivals, fleet.capacity, fleet.ready, step))
            steps += 1
            now = steps * step
        return self._scores(duration)

    def _account(self, flow: Flow) -> None:
        world, step = self.world, self.world.step_seconds
        if flow.ready:
            cpu = world.idle_milli + world.cost_milli_per_rps * flow.worked / step / flow.ready
            self._cpu = min(cpu, float(world.limit_milli))
            self._counter += self._cpu * step
        self._arrived, self._queued = flow.offered, flow.queued
        self.offered += flow.offered
        self.unmet += flow.unmet
        if flow.unmet > 0 or (flow.p95 is not None and flow.p95 > world.latency_target_seconds):
            self.slow_seconds += step
        self.tally.add(flow)

    def _scores(self, duration: float) -> Scores:
        return Scores(
            pod_seconds=pod_seconds(self.sizes, duration),
            most_pods=max(size for _, size in self.sizes),
            offered=self.offered,
            unmet=self.unmet,
            p95=self.tally.percentile(95),
            slow_seconds=self.slow_seconds,
            scalings=len(self.sizes) - 1,
            flaps=count_flaps(self.sizes),
        )

    # -- the autoscaler -----------------------------------------------------------------------

    def _sync(self, now: float) -> None:
        contender, fleet = self.contender, self._fleet
        current = len(fleet.pods)
        if not self.world.metrics_resolution:
            fleet.read_last_step(now, self._cpu)
        if self._sync_alike(now, current):
            return
        observation = Observation(
            now=now,
            current=current,
            maximum=contender.maximum,
            metrics=tuple([(metric, self._reading(metric, now)) for metric in self._metrics]),
            pods=fleet.facts,
            status_replicas=current,
            minimum=contender.minimum,
            behavior=self._behavior,
            constants=contender.constants,
            state=self._state,
        )
        result = checked(observation, self._policy.recommend(observation))
        self._state = result.state
        if not result.failed and result.replicas != current:
            self._scale(current, result.replicas, now)

    def _sync_alike(self, now: float, current: int) -> bool:
        """Run the real algorithm for pods with equal samples, with products instead of sums.

        Returns:
            False if the samples differ, or for another policy; nothing is done then.
        """
        metric, state, contender = self._metrics[0], self._state, self.contender
        sample, log = self._fleet.common, self._state.recommendations
        if sample is None or not self._plain or log is None:
            return False
        if not max(contender.minimum, 1) <= current <= contender.maximum:
            return False
        used, requested = sample.milli * current, self.world.request_milli * current
        tally = SampleSums(used, requested, current, current, current)
        question = PodsTarget(tally, metric.utilization or 0, True, current, self._tolerance)
        proposal = question.decide(used).replicas
        size = limits_at(
            now=now,
            current=current,
            minimum=contender.minimum,
            maximum=contender.maximum,
            state=state,
            behavior=self._behavior,
            constants=contender.constants,
        ).final(proposal)
        log = after_proposal(log, proposal, now, self._behavior, contender.constants)
        flags = state.outdated_ups, state.outdated_downs
        self._state = State(log, state.ups, state.downs, state.memory, *flags)
        if size != current:
            self._scale(current, size, now)
        return True

    def _scale(self, current: int, desired: int, now: float) -> None:
        constants = self.contender.constants
        self._state = after_rescale(self._state, current, desired, now, self._behavior, constants)
        self._fleet.resize(desired, now)
        self.sizes.append((now, desired))

    def _reading(self, metric: Metric, now: float) -> Reading:
        fleet, step = self._fleet, self.world.step_seconds
        if metric.type in ("Resource", "ContainerResource"):
            error = "" if fleet.samples else "no metrics returned from resource metrics API"
            return Reading(fleet.samples, fleet.requests, error=error)
        if metric.name not in TRAFFIC_METRICS:
            return Reading(error=f"no metric {metric.name} in this experiment")
        value = self._queued if metric.name == "queue_length" else self._arrived / step
        if metric.type != "Pods":
            return Reading(total_milli=round(1000 * value))
        sample = Sample(round(1000 * value) // max(1, fleet.ready), now, step)
        return Reading({pod.facts.name: sample for pod in fleet.pods if pod.ready_at <= now})


def _slow(world: World) -> float:
    """Return the load, as a share of capacity, above which a second is slow without waiting."""
    share = 1.0 - P95 / (world.rate_of_a_pod * world.latency_target_seconds)
    return share if share < MOST_LOADED else inf


def simulate(
    contender: Contender | PolicySource,
    traffic: TrafficModel,
    *,
    duration: float,
    world: World | None = None,
) -> Run:
    """Run one contender in the model.

    Args:
        contender: the policy and its HPA; or a policy for a default HPA.
        traffic: requests per second over time.
        duration: simulated seconds.
        world: what is scaled.

    Returns:
        The scores, and the sizes over time.

    Raises:
        BadRequest: an argument of another type.
    """
    check_arguments(OPTIONS, {"traffic": traffic, "duration": duration, "world": world})
    chosen = contender if isinstance(contender, Contender) else Contender(policy=contender)
    simulation = Simulation(chosen, traffic, world or World())
    scores = simulation.run(duration)
    return Run("", "", 0, scores, tuple(simulation.sizes))

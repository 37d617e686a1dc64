"""The loop without the control plane: traffic, queue, metrics, policy, pods; a day in a blink.

The parts are those of the whole simulator - the same traffic models, the same queue, the same two
points of the metrics-server, the same policy - but there are no objects, watches, scheduler and
kubelets between them: a decision becomes pods after `World.start_seconds`, always. So it answers
"which policy?", a thousand times a minute; what the control plane does to it is shown by
`compare(detail="cluster")`.

Ours leaves out: nodes that are full, pods that fail, conflicts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kubesim.autoscaler.metricsserver import Point, next_points, usage_between
from kubesim.autoscaler.normalize import after_rescale
from kubesim.autoscaler.reading import behavior_of, metrics_of
from kubesim.autoscaler.records import checked
from kubesim.autoscaler.types import (
    Metric,
    Observation,
    PodFacts,
    Reading,
    Sample,
    State,
)
from kubesim.experiment.scores import LatencyTally, Run, Scores, count_flaps, pod_seconds
from kubesim.experiment.setting import Contender, World
from kubesim.traffic import Flow, TrafficModel
from kubesim.traffic.queueing import FluidQueue

ALWAYS = -1e9  # the first pods have been there for ever


@dataclass(slots=True)
class _Pod:
    """One pod.

    Attributes:
        facts: what a policy sees.
        ready_at: when it begins to serve.
        base: the common counter at that moment.
        points: its two scrapes.
    """

    facts: PodFacts
    ready_at: float
    base: float = 0.0
    points: tuple[Point | None, Point | None] = (None, None)


class Simulation:
    """One run.

    Args:
        contender: the policy and its HPA.
        traffic: requests per second over time.
        world: what is scaled.
    """

    def __init__(self, contender: Contender, traffic: TrafficModel, world: World) -> None:
        self.world = world
        self.contender = contender
        self._rate = traffic.rate
        self._policy = contender.made()
        spec = {"spec": contender.spec()}
        self._metrics: list[Metric] = [metric for metric, _ in metrics_of(spec)]
        self._behavior = behavior_of(spec)
        self._state = State()
        self._queue = FluidQueue(world.queue)
        self._pods = [_Pod(_running(n, ALWAYS), ALWAYS) for n in range(world.pods)]
        self._starting: list[_Pod] = []  # a part of _pods
        self._counter = 0.0  # millicore seconds of a pod that has always been ready
        self._cpu = 0.0  # millicores of each ready pod in the last step
        self._scraped = (0.0, 0.0)  # (second, counter) of the last scrape
        self._samples: dict[str, Sample] = {}
        self._requests: dict[str, int | None] = {}
        self._facts: tuple[PodFacts, ...] = ()
        self._changed()
        self._flow: Flow | None = None
        self.sizes: list[tuple[float, int]] = [(0.0, world.pods)]
        self.tally = LatencyTally()
        self.offered = self.unmet = self.slow_seconds = 0.0

    def run(self, duration: float) -> Scores:
        """Let so many seconds pass."""
        world, step = self.world, self.world.step_seconds
        sync, scrape = self.contender.sync_seconds, world.metrics_resolution or 0.0
        next_sync, next_scrape = sync, scrape
        pod_rate, now, steps = world.rate_of_a_pod * step, 0.0, 0
        while now < duration:
            if self._starting:
                self._become_ready(now)
            if scrape and now >= next_scrape:
                self._scrape(now)
                next_scrape += scrape
            if now >= next_sync:
                self._look(now)
                next_sync += sync
            ready = len(self._pods) - len(self._starting)
            arrivals = self._rate(now) * step
            self._flow = flow = self._queue.step(now, arrivals, pod_rate * ready, ready, step)
            self._account(flow, ready)
            steps += 1
            now = steps * step
        return self._scores(duration)

    def _account(self, flow: Flow, ready: int) -> None:
        world, step = self.world, self.world.step_seconds
        if ready:
            cpu = world.idle_milli + world.cost_milli_per_rps * flow.served / step / ready
            self._cpu = min(cpu, float(world.limit_milli))
            self._counter += self._cpu * step
        unmet = flow.timed_out + flow.lost
        self.offered += flow.offered
        self.unmet += unmet
        if unmet > 0 or (flow.p95 is not None and flow.p95 > world.latency_target_seconds):
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

    # -- pods and what is measured of them --------------------------------------------------------

    def _changed(self) -> None:
        """Pods came, went or became ready."""
        self._facts = tuple([pod.facts for pod in self._pods])
        self._requests = {pod.facts.name: self.world.request_milli for pod in self._pods}

    def _become_ready(self, now: float) -> None:
        there = [pod for pod in self._starting if pod.ready_at <= now]
        for pod in there:
            number, created = int(pod.facts.name[4:]), pod.facts.started
            pod.facts = _running(number, pod.ready_at, created)
            pod.base = self._counter
            self._starting.remove(pod)
        if there:
            self._changed()

    def _used(self, pod: _Pod, now: float) -> float:
        """Millicore seconds of a pod since it began to serve."""
        young = min(now - pod.ready_at, self.world.startup_seconds) * self.world.startup_milli
        return self._counter - pod.base + young

    def _scrape(self, now: float) -> None:
        """Read every counter. Pods that are past their start, and were so at the scrape before,
        have used the same since then: one sample stands for all of them."""
        world, samples = self.world, {}
        before, self._scraped = self._scraped, (now, self._counter)
        common: Sample | None = None
        for pod in self._pods:
            if pod.ready_at > now:
                continue
            if pod.ready_at + world.startup_seconds <= before[0]:
                if common is None:
                    common = self._sample(
                        Point(*before, 0, ALWAYS), Point(*self._scraped, 0, ALWAYS)
                    )
                samples[pod.facts.name] = common
                continue
            new = Point(now, self._used(pod, now), 0, pod.ready_at)
            pod.points = (first, last) = next_points(
                pod.points, new, world.metrics_resolution or 0.0
            )
            if first is not None:
                samples[pod.facts.name] = self._sample(first, last)
        self._samples = samples

    def _sample(self, before: Point, last: Point) -> Sample:
        second, window, cpu, _ = usage_between(before, last)
        return Sample(min(cpu, self.world.limit_milli), second, window)

    def _newest(self, now: float) -> dict[str, Sample]:
        """Without a metrics-server: the last step of each pod that was there for all of it."""
        world, found = self.world, {}
        for pod in self._pods:
            if pod.ready_at <= now - world.step_seconds:
                young = now - pod.ready_at <= world.startup_seconds
                cpu = self._cpu + (world.startup_milli if young else 0.0)
                milli = int(min(cpu, world.limit_milli))
                found[pod.facts.name] = Sample(milli, now, world.step_seconds)
        return found

    # -- looking and scaling ----------------------------------------------------------------------

    def _reading(self, metric: Metric, now: float) -> Reading:
        if metric.type in ("Resource", "ContainerResource"):
            samples = self._samples if self.world.metrics_resolution else self._newest(now)
            error = "" if samples else "no metrics returned from resource metrics API"
            return Reading(samples, self._requests, error=error)
        flow, step = self._flow, self.world.step_seconds
        if flow is None or metric.name not in ("requests_per_second", "queue_length"):
            return Reading(error=f"no metric {metric.name} in this experiment")
        queue = metric.name == "queue_length"
        milli = round(1000 * (flow.queued if queue else flow.offered / step))
        if metric.type != "Pods":
            return Reading(total_milli=milli)
        share = milli // max(1, flow.ready)
        ready = [pod.facts.name for pod in self._pods if pod.ready_at <= now]
        return Reading(dict.fromkeys(ready, Sample(share, now, step)))

    def _look(self, now: float) -> None:
        contender, current = self.contender, len(self._pods)
        seen = Observation(
            now=now,
            current=current,
            maximum=contender.maximum,
            metrics=tuple([(metric, self._reading(metric, now)) for metric in self._metrics]),
            pods=self._facts,
            status_replicas=current,
            minimum=contender.minimum,
            behavior=self._behavior,
            constants=contender.constants,
            state=self._state,
        )
        result = checked(seen, self._policy.recommend(seen))
        self._state = result.state
        if result.failed or result.replicas == current:
            return
        wanted, constants = result.replicas, contender.constants
        self._state = after_rescale(self._state, current, wanted, now, self._behavior, constants)
        self._resize(wanted, now)

    def _resize(self, wanted: int, now: float) -> None:
        """The newest pods go first, as those of a StatefulSet do."""
        for number in range(len(self._pods), wanted):
            facts = PodFacts(f"pod-{number}", "Pending", False, False, now, now)
            pod = _Pod(facts, now + self.world.start_seconds)
            self._pods.append(pod)
            self._starting.append(pod)
        for pod in self._pods[wanted:]:
            self._samples.pop(pod.facts.name, None)
            if pod in self._starting:
                self._starting.remove(pod)
        del self._pods[wanted:]
        self._changed()
        self.sizes.append((now, wanted))


def _running(number: int, ready_at: float, created: float | None = None) -> PodFacts:
    started = ready_at if created is None else created
    return PodFacts(f"pod-{number}", "Running", False, True, ready_at, started)


def simulate(
    contender: Contender | Any,
    traffic: TrafficModel,
    *,
    duration: float,
    world: World | None = None,
) -> Run:
    """One run by the model.

    Args:
        contender: the policy and its HPA; or a policy alone.
        traffic: requests per second over time, taken as it is.
        duration: in seconds.
        world: what is scaled.
    """
    chosen = contender if isinstance(contender, Contender) else Contender(policy=contender)
    simulation = Simulation(chosen, traffic, world or World())
    scores = simulation.run(duration)
    return Run("", "", 0, scores, tuple(simulation.sizes))

"""The pods of the model, and what is measured of them.

All ready pods share the requests equally, so that they all use the same CPU: one counter stands for
all, and a pod's own is the difference to what it was when the pod became ready. Only pods that have
just started are looked at one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

from kubesim.autoscaler.metrics.metrics_server import Point, next_points, usage_between
from kubesim.autoscaler.types import PodFacts, Sample
from kubesim.experiment.setting import World

ALWAYS = -1e9  # the first pods have been there for ever


@dataclass(slots=True)
class Pod:
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


class Fleet:
    """Pods with their figures.

    Attributes:
        pods: oldest first; `starting` is a part of them.
        facts, requests: as a policy sees them.
        common: the sample of every pod, if they are all alike; else None.
        ready: pods that serve.
        youngest: second at which the last of all is, was or will be ready.
        capacity: requests that these can serve in a step.
        counter: millicore seconds of a pod that has always been ready.
        cpu: millicores of each ready pod in the last step.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.pods = [Pod(_running(n, ALWAYS), ALWAYS) for n in range(world.pods)]
        self.starting: list[Pod] = []
        self.counter = self.cpu = 0.0
        self._samples: dict[str, Sample] | None = {}  # None: all are `common`
        self.common: Sample | None = None
        self._scraped = (0.0, 0.0)  # (second, counter) of the last scrape
        self._changed()

    def _changed(self) -> None:
        """Pods came, went or became ready."""
        self.facts = tuple([pod.facts for pod in self.pods])
        self.requests: dict[str, int | None] = {
            pod.facts.name: self.world.request_milli for pod in self.pods
        }
        self.ready = len(self.pods) - len(self.starting)
        self.capacity = self.world.rate_of_a_pod * self.world.step_seconds * self.ready
        self.youngest = max([pod.ready_at for pod in self.pods], default=ALWAYS)
        self.common = None

    def become_ready(self, now: float) -> None:
        """Those whose time has come begin to serve."""
        there = [pod for pod in self.starting if pod.ready_at <= now]
        for pod in there:
            pod.facts = _running(int(pod.facts.name[4:]), pod.ready_at, pod.facts.started)
            pod.base = self.counter
            self.starting.remove(pod)
        if there:
            self._changed()

    def resize(self, wanted: int, now: float) -> None:
        """New pods start; the newest go first, as those of a StatefulSet do."""
        self._samples = kept = dict(self.samples)
        for number in range(len(self.pods), wanted):
            facts = PodFacts(f"pod-{number}", "Pending", False, False, now, now)
            pod = Pod(facts, now + self.world.start_seconds)
            self.pods.append(pod)
            self.starting.append(pod)
        for pod in self.pods[wanted:]:
            kept.pop(pod.facts.name, None)
            if pod in self.starting:
                self.starting.remove(pod)
        del self.pods[wanted:]
        self._changed()

    # -- measuring --------------------------------------------------------------------------------

    @property
    def samples(self) -> dict[str, Sample]:
        """By pod."""
        if self._samples is None:
            assert self.common is not None
            self._samples = {pod.facts.name: self.common for pod in self.pods}
        return self._samples

    def scrape(self, now: float) -> None:
        """Read every counter, as a metrics-server does. Pods that are past their start, and were so
        at the scrape before, have used the same since then: one sample stands for them."""
        world, samples = self.world, {}
        before, self._scraped = self._scraped, (now, self.counter)
        first, last = Point(*before, 0, ALWAYS), Point(*self._scraped, 0, ALWAYS)
        common = self._sample(first, last)
        if self.pods and self.youngest + world.startup_seconds <= before[0]:
            self.common, self._samples = common, None
            return
        for pod in self.pods:
            if pod.ready_at > now:
                continue
            if pod.ready_at + world.startup_seconds <= before[0]:
                samples[pod.facts.name] = common
                continue
            new = Point(now, self._used(pod, now), 0, pod.ready_at)
            resolution = world.metrics_resolution or 0.0
            pod.points = (older, newer) = next_points(pod.points, new, resolution)
            if older is not None:
                samples[pod.facts.name] = self._sample(older, newer)
        self._keep(samples, common)

    def look(self, now: float) -> None:
        """Without a metrics-server: the last step of each pod that was there for all of it."""
        world, found = self.world, {}
        limit, step = float(world.limit_milli), world.step_seconds
        common = Sample(int(min(self.cpu, limit)), now, step)
        if self.pods and self.youngest + max(world.startup_seconds, step) < now:
            self.common, self._samples = common, None
            return
        young = Sample(int(min(self.cpu + world.startup_milli, limit)), now, step)
        for pod in self.pods:
            if pod.ready_at <= now - step:
                old = now - pod.ready_at > world.startup_seconds
                found[pod.facts.name] = common if old else young
        self._keep(found, common)

    def _keep(self, samples: dict[str, Sample], common: Sample) -> None:
        self._samples = samples
        alike = len(samples) == len(self.pods) > 0 and all(s is common for s in samples.values())
        self.common = common if alike else None

    def _used(self, pod: Pod, now: float) -> float:
        """Millicore seconds of a pod since it began to serve."""
        young = min(now - pod.ready_at, self.world.startup_seconds) * self.world.startup_milli
        return self.counter - pod.base + young

    def _sample(self, before: Point, last: Point) -> Sample:
        second, window, cpu, _ = usage_between(before, last)
        return Sample(min(cpu, self.world.limit_milli), second, window)


def _running(number: int, ready_at: float, created: float | None = None) -> PodFacts:
    started = ready_at if created is None else created
    return PodFacts(f"pod-{number}", "Running", False, True, ready_at, started)

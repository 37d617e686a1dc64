"""The pods of the model, and their metrics.

All ready pods share the requests equally, so that they use the same CPU: there is one counter, and
a pod's usage is the difference to its value when the pod became ready. Only pods that have just
started are computed one by one.
"""

from __future__ import annotations

from dataclasses import dataclass

from kubesim.autoscaler.metrics.metrics_server import Point, next_points, usage_between
from kubesim.autoscaler.types import PodFacts, Sample
from kubesim.experiment.setting import World

ALWAYS = -1e9  # start time of the first pods


@dataclass(slots=True)
class Pod:
    """One pod.

    Attributes:
        facts: what a policy sees.
        ready_at: simulated second at which it begins to serve.
        base: the common counter at that second.
        points: its last two scrapes.
    """

    facts: PodFacts
    ready_at: float
    base: float = 0.0
    points: tuple[Point | None, Point | None] = (None, None)


class Fleet:
    """The pods of a workload and their metrics.

    Args:
        world: properties of the pods.

    Attributes:
        pods: all pods, oldest first.
        starting: the pods that are not ready.
        facts, requests: pods and CPU requests as a policy sees them.
        common: the sample of every pod if all samples are equal; else None.
        ready: number of pods that serve.
        youngest: second at which the newest pod became or becomes ready.
        capacity: requests that the ready pods can serve in a step.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.pods = [Pod(_running(n, ALWAYS), ALWAYS) for n in range(world.pods)]
        self.starting: list[Pod] = []
        self._samples: dict[str, Sample] | None = {}  # None: all samples are `common`
        self.common: Sample | None = None
        self._scraped = (0.0, 0.0)  # (second, counter) of the last scrape
        self._changed()

    def _changed(self) -> None:
        """Compute what depends on the pods, after pods were added or deleted or became ready."""
        self.facts = tuple([pod.facts for pod in self.pods])
        self.requests: dict[str, int | None] = {
            pod.facts.name: self.world.request_milli for pod in self.pods
        }
        self.ready = len(self.pods) - len(self.starting)
        self.capacity = self.world.rate_of_a_pod * self.world.step_seconds * self.ready
        self.youngest = max([pod.ready_at for pod in self.pods], default=ALWAYS)
        self.common = None

    def become_ready(self, now: float, counter: float) -> None:
        """Make the pods ready whose start has ended.

        Args:
            now: simulated second.
            counter: millicore seconds by now of a pod that was ready from the start.
        """
        started = [pod for pod in self.starting if pod.ready_at <= now]
        for pod in started:
            pod.facts = _running(int(pod.facts.name[4:]), pod.ready_at, pod.facts.started)
            pod.base = counter
            self.starting.remove(pod)
        if started:
            self._changed()

    def resize(self, replicas: int, now: float) -> None:
        """Create pods, or delete the newest ones, as a StatefulSet does."""
        self._samples = retained = dict(self.samples)
        for number in range(len(self.pods), replicas):
            facts = PodFacts(f"pod-{number}", "Pending", False, False, now, now)
            pod = Pod(facts, now + self.world.start_seconds)
            self.pods.append(pod)
            self.starting.append(pod)
        for pod in self.pods[replicas:]:
            retained.pop(pod.facts.name, None)
            if pod in self.starting:
                self.starting.remove(pod)
        del self.pods[replicas:]
        self._changed()

    # -- measuring --------------------------------------------------------------------------------

    @property
    def samples(self) -> dict[str, Sample]:
        """The samples by pod."""
        if self._samples is None:
            assert self.common is not None
            self._samples = {pod.facts.name: self.common for pod in self.pods}
        return self._samples

    def scrape(self, now: float, counter: float) -> None:
        """Read all counters, as a metrics-server does.

        Pods that had started before the last scrape have used the same CPU since: they share one
        sample.

        Args:
            now: simulated second.
            counter: millicore seconds by now of a pod that was ready from the start.
        """
        world, samples = self.world, {}
        before, self._scraped = self._scraped, (now, counter)
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
            new = Point(now, self._used(pod, now, counter), 0, pod.ready_at)
            resolution = world.metrics_resolution or 0.0
            pod.points = (older, newer) = next_points(pod.points, new, resolution)
            if older is not None:
                samples[pod.facts.name] = self._sample(older, newer)
        self._keep(samples, common)

    def read_last_step(self, now: float, cpu: float) -> None:
        """Read the last step of each pod that was ready in all of it; without a metrics-server.

        Args:
            now: simulated second.
            cpu: millicores of each ready pod in the last step.
        """
        world, samples = self.world, {}
        limit, step = float(world.limit_milli), world.step_seconds
        common = Sample(int(min(cpu, limit)), now, step)
        if self.pods and self.youngest + max(world.startup_seconds, step) < now:
            self.common, self._samples = common, None
            return
        young = Sample(int(min(cpu + world.startup_milli, limit)), now, step)
        for pod in self.pods:
            if pod.ready_at <= now - step:
                old = now - pod.ready_at > world.startup_seconds
                samples[pod.facts.name] = common if old else young
        self._keep(samples, common)

    def _keep(self, samples: dict[str, Sample], common: Sample) -> None:
        self._samples = samples
        alike = len(samples) == len(self.pods) > 0 and all(s is common for s in samples.values())
        self.common = common if alike else None

    def _used(self, pod: Pod, now: float, counter: float) -> float:
        """Return the millicore seconds of a pod since it became ready."""
        young = min(now - pod.ready_at, self.world.startup_seconds) * self.world.startup_milli
        return counter - pod.base + young

    def _sample(self, before: Point, last: Point) -> Sample:
        second, window, cpu, _ = usage_between(before, last)
        return Sample(min(cpu, self.world.limit_milli), second, window)


def _running(number: int, ready_at: float, created: float | None = None) -> PodFacts:
    started = ready_at if created is None else created
    return PodFacts(f"pod-{number}", "Running", False, True, ready_at, started)

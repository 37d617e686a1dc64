"""The probes of a pod's containers: who has which, and who answers them.

A workload model with a method ``probe(kind, now) -> bool`` answers for its container; else the
annotation ``kubesim.dev/probe`` does, and without one every attempt succeeds.

Source: pkg/kubelet/prober/prober_manager.go.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from kubesim.clock.base import Worker
from kubesim.kubelet.pod.containers import ContainerLife
from kubesim.kubelet.pod.probes import KINDS, ProbeNews, Prober
from kubesim.kubelet.usage.models import PodModels


class PodProbes:
    """Probers by container, on the pod's worker; a pod without probes has none.

    Args:
        lives: the pod's containers.
        worker, now: the pod's worker and the clock.
        models: its workload models.
        ip: its address, for messages.
        tell: hears of each attempt of each container.
    """

    def __init__(
        self,
        lives: Sequence[ContainerLife],
        worker: Worker,
        now: Callable[[], float],
        models: PodModels,
        ip: str,
        tell: Callable[[ContainerLife, ProbeNews], Any],
    ) -> None:
        self._now = now
        self._models = models
        self._probers = {
            life.name: Prober(
                life.spec,
                worker,
                now,
                healthy=partial(self._healthy, life),
                response_seconds=life.behaviour.answers.response_seconds,
                ip=ip,
                tell=partial(tell, life),
            )
            for life in lives
            if any(life.spec.get(f"{kind}Probe") for kind in KINDS)
        }

    def _healthy(self, life: ContainerLife, kind: str, age: float) -> bool:
        model = self._models.own.get(life.name, self._models.pod)
        probe = getattr(model, "probe", None)
        if callable(probe):
            return bool(probe(kind, self._now()))
        draw = f"{life.uid}/{life.name}/{life.restarts}/{kind}/{age}"
        return life.behaviour.answers.healthy(kind, age, draw)

    def has(self, life: ContainerLife, kind: str) -> bool:
        """Whether a container has a probe of that kind."""
        prober = self._probers.get(life.name)
        return prober is not None and prober.has(kind)

    def grace_seconds(self, life: ContainerLife, kind: str) -> int | None:
        """The probe's own terminationGracePeriodSeconds, if it has one."""
        return self._probers[life.name].grace_seconds(kind)

    def container_started(self, life: ContainerLife) -> None:
        """Probe a container that has just started."""
        if life.name in self._probers:
            self._probers[life.name].container_started()

    def container_stopped(self, life: ContainerLife) -> None:
        """No further attempt at a container that is gone."""
        if life.name in self._probers:
            self._probers[life.name].cancel()

    def keep_only_readiness(self) -> None:
        """The pod is being deleted."""
        for prober in self._probers.values():
            prober.keep_only_readiness()

    def cancel(self) -> None:
        """The pod is over."""
        for prober in self._probers.values():
            prober.cancel()

"""What every part of a pod's runner uses: its containers, its timers, and how it tells things.

Source: pkg/kubelet/kubelet_pods.go, pkg/kubelet/status/status_manager.go.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI
from kubesim.client import Decision, EventRecorder
from kubesim.client.decisions import DecisionLog
from kubesim.clock.base import Timer, Worker
from kubesim.kubelet.pod.behaviour import behaviour_of
from kubesim.kubelet.pod.containers import ContainerLife, Line, copied, lives_of, merged_log
from kubesim.kubelet.pod.status import Verdict, pod_status, write_status
from kubesim.kubelet.pod.termination import Stopper
from kubesim.kubelet.usage.models import PodModels
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.pods import container_limits
from kubesim.objects.wellknown import TERMINATION_GRACE_SECONDS


@dataclass(frozen=True, slots=True)
class NodeTools:
    """What a kubelet lends to each of its pods.

    Attributes:
        host_ip: the node's address.
        component: whose kubelet this is, for decision records: ``kubelet/node-1``.
        recorder, analytics, decisions: where it tells what happens.
    """

    host_ip: str
    component: str
    recorder: EventRecorder
    analytics: Analytics
    decisions: DecisionLog


class PodBase:
    """One pod: who it is, what it is made of, what is said about it.

    Args:
        api: the API server.
        worker: the pod's own serial lane.
        pod: as it was bound.
        models: what it uses.
        tools: of its kubelet.
        ip: its address.
    """

    def __init__(
        self,
        api: KubeAPI,
        worker: Worker,
        pod: Document,
        models: PodModels,
        tools: NodeTools,
        ip: str,
    ) -> None:
        self.api, self.worker, self.pod, self.models = api, worker, pod, models
        self.name, self.namespace = meta.name_of(pod), meta.namespace_of(pod)
        self.uid = meta.uid_of(pod)
        self._now, self._timestamp = api.clock.now, api.clock.timestamp
        self._ip, self._host_ip, self._component = ip, tools.host_ip, tools.component
        self._recorder, self._analytics = tools.recorder, tools.analytics
        self._decisions = tools.decisions
        self._policy = str(pod["spec"].get("restartPolicy", "Always"))
        self._complaints: list[str] = []  # about annotations that make no sense
        self._lives = lives_of(
            pod, lambda name, kind: behaviour_of(pod, name, kind, self._complaints.append)
        )
        self._by_name = {life.name: life for life in self._lives}
        self._timers: list[Timer] = []  # of the pod as a whole
        self._stopper: Stopper | None = None
        self._verdict: Verdict | None = None
        self._over = False
        self._sandbox = False  # volumes and network are there
        self.memory_ceiling = self._ceiling()

    @property
    def ending(self) -> bool:
        """It is stopping or has stopped."""
        return self._over or self._stopper is not None

    def _ceiling(self) -> float:
        """The most memory that this pod can use, in bytes: its limits, or what its models say."""
        limits = [container_limits(life.spec)[1] for life in self._lives]
        limited = inf if None in limits else float(sum(limit or 0 for limit in limits))
        return min(limited, self.models.ceiling())

    def lines(self, container: str | None = None, *, previous: bool = False) -> list[Line]:
        """The kept log lines with their seconds; from any thread.

        Args:
            container: of which one; None: of all, in the order of time.
            previous: of its run before the present one; [] if there was none.
        """
        chosen = [x for x in self._lives if container in (None, x.name)]
        if previous:
            logs = [log for x in chosen if (log := x.log_before) is not None]
            return sorted((line for log in logs for line in copied(log)), key=lambda x: x[0])
        return merged_log(chosen)

    def has_previous(self, container: str) -> bool:
        """Whether the log of a run before the present one is kept."""
        life = self._by_name.get(container)
        return life is not None and life.log_before is not None

    # -- what is told -----------------------------------------------------------------------------

    def _write_status(self, *, ended: bool = False) -> bool:
        """Write the status over the newest state of this very pod; False if it is gone."""

        def make(pod: Document) -> Document:
            return pod_status(
                pod,
                self._lives,
                ip=self._ip,
                host_ip=self._host_ip,
                now=self._timestamp(),
                timestamp=self._timestamp,
                ended=ended,
                verdict=self._verdict if ended else None,
                sandbox=self._sandbox and not self._over,
            )

        return write_status(self.api, self.namespace, self.name, self.uid, make)

    def _tell(self, action: str, message: str, level: str = "info") -> None:
        self._analytics.log("Pod", action, message, level)

    def _event(self, type: str, reason: str, message: str) -> None:
        self._recorder.event(self.pod, type, reason, message)

    def _decide(self, decision: Decision) -> None:
        self._decisions.record(decision)

    # -- time -------------------------------------------------------------------------------------

    def _later(self, life: ContainerLife, seconds: float, fn: Callable[[], Any]) -> None:
        """Something is due for a container; called off when its state changes."""
        life.timers.append(self.worker.call_later(seconds, fn))

    def _grace(self) -> float:
        """Seconds that the pod may take to stop."""
        said = self.pod["spec"].get("terminationGracePeriodSeconds")
        return TERMINATION_GRACE_SECONDS if said is None else float(said)

    def _active_since(self) -> float:
        """Second at which a kubelet first took the pod."""
        said = (self.pod.get("status") or {}).get("startTime")
        return self.api.clock.seconds_at(said) if said else self._now()

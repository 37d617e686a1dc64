"""A world for the loop: a real API server on virtual time, and a hand that plays the kubelet."""

from __future__ import annotations

from typing import Any

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI
from kubesim.apiserver.kinds.metrics import document_maker
from kubesim.autoscaler import HorizontalController
from kubesim.client import DecisionLog
from kubesim.clock import LiveClock, NamedStreams, VirtualClock
from kubesim.objects.wellknown import SYNC_PERIOD
from kubesim.store import EtcdStore

KIND = "HorizontalPodAutoscaler"
REQUEST = 200  # millicores, of every pod


class World:
    """One API server and one autoscaler.

    Args:
        api_class: KubeAPI, or a subclass that fails now and then.
        clock: virtual unless given.
        options: of the HorizontalController.
    """

    def __init__(
        self, api_class: type[KubeAPI] = KubeAPI, clock: Any = None, **options: Any
    ) -> None:
        self.clock: VirtualClock | LiveClock = clock or VirtualClock()
        self.streams = NamedStreams(0)
        self.analytics = Analytics(self.clock.now)
        self.decisions = DecisionLog()
        store = EtcdStore(sample_document=document_maker(self.clock.timestamp))
        self.api = api_class(store, self.clock, self.streams, analytics=self.analytics)
        self.controller = self.start(**options)

    def start(self, **options: Any) -> HorizontalController:
        """Return another started controller of the same API server."""
        controller = HorizontalController(
            self.api, self.clock, self.streams, self.analytics, self.decisions, **options
        )
        controller.start()
        return controller

    # -- objects ---------------------------------------------------------------------------------

    def workload(self, name: str = "web", replicas: int = 1, *, app: str = "", **more: Any) -> Any:
        """Create a StatefulSet with label app=NAME; only `run` creates its pods."""
        labels = {"app": app or name}
        container = {"name": "main", "image": "web", "resources": {"requests": {"cpu": "200m"}}}
        return self.api.create(
            {
                "apiVersion": "apps/v1",
                "kind": "StatefulSet",
                "metadata": {"name": name, **more},
                "spec": {
                    "replicas": replicas,
                    "serviceName": name,
                    "selector": {"matchLabels": labels},
                    "template": {
                        "metadata": {"labels": labels},
                        "spec": {"containers": [container]},
                    },
                },
            }
        )

    def hpa(
        self,
        name: str = "web",
        *,
        target: int = 50,
        period: str | None = None,
        low: int = 1,
        high: int = 10,
        namespace: str = "default",
        **spec: Any,
    ) -> Any:
        """An HPA of the StatefulSet of the same name; CPU at `target` percent by default."""
        annotations = {SYNC_PERIOD: period} if period is not None else {}
        reference = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name}
        resource = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": target}}
        return self.api.create(
            {
                "apiVersion": "autoscaling/v2",
                "kind": KIND,
                "metadata": {"name": name, "namespace": namespace, "annotations": annotations},
                "spec": {
                    "scaleTargetRef": reference,
                    "minReplicas": low,
                    "maxReplicas": high,
                    "metrics": [{"type": "Resource", "resource": resource}],
                    **spec,
                },
            }
        )

    def run(
        self, count: int, name: str = "web", *, namespace: str = "default", first: int = 0
    ) -> None:
        """Make pods NAME-0 ... that are Running and Ready since this second."""
        for index in range(first, first + count):
            pod = self.api.create(
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {
                        "name": f"{name}-{index}",
                        "namespace": namespace,
                        "labels": {"app": name},
                    },
                    "spec": {
                        "containers": [
                            {
                                "name": "main",
                                "image": "web",
                                "resources": {"requests": {"cpu": f"{REQUEST}m", "memory": "100M"}},
                            }
                        ]
                    },
                }
            )
            self.set_pod_status(pod)

    def set_pod_status(self, pod: Any, phase: str = "Running", ready: str = "True") -> None:
        """Write a status as a kubelet does."""
        now = self.clock.timestamp()
        pod["status"] = {
            "phase": phase,
            "startTime": now,
            "conditions": [{"type": "Ready", "status": ready, "lastTransitionTime": now}],
        }
        pod["metadata"].pop("resourceVersion", None)
        self.api.update_status(pod)

    def use(
        self, *percent: float, name: str = "web", namespace: str = "default", memory: int = 0
    ) -> None:
        """Write a usage sample of each pod, in percent of its request, of the last second."""
        for index, share in enumerate(percent):
            write = self.api.metrics_writer(namespace, f"{name}-{index}")
            write(self.clock.now(), 1.0, "main", round(share * REQUEST / 100), memory)

    def steady(
        self, *percent: float, seconds: float, every: float = 1.0, name: str = "web"
    ) -> None:
        """Let time pass, with the same usage sampled again and again."""
        end = self.clock.now() + seconds
        while self.clock.now() < end:
            self.use(*percent, name=name)
            self.clock.sleep(min(every, end - self.clock.now()))

    # -- what came of it -------------------------------------------------------------------------

    def size(self, name: str = "web", namespace: str = "default") -> int:
        """spec.replicas."""
        return int(self.api.get_scale("StatefulSet", name, namespace)["spec"]["replicas"])

    def resize(self, replicas: int, name: str = "web") -> None:
        """Scale by hand."""
        self.api.update_scale("StatefulSet", name, replicas=replicas)

    def status(self, name: str = "web", namespace: str = "default") -> Any:
        """status of the HPA."""
        return self.api.get(KIND, name, namespace).get("status") or {}

    def condition(self, type: str, name: str = "web") -> tuple[str, str] | None:
        """(status, reason) of a condition."""
        for condition in self.status(name).get("conditions", ()):
            if condition["type"] == type:
                return condition["status"], condition["reason"]
        return None

    def events(self, reason: str | None = None) -> list[tuple[str, str, int]]:
        """(reason, message, count) of the events about HPAs, oldest first."""
        found = [
            (event["reason"], event["message"], event["count"])
            for event in self.api.list("Event")["items"]
            if event["involvedObject"]["kind"] == KIND
        ]
        return [event for event in found if reason in (None, event[0])]

    def edit(self, name: str = "web", *, period: str | None = None, **spec: Any) -> None:
        """Change an HPA."""
        hpa = self.api.get(KIND, name)
        if period is not None:
            hpa["metadata"].setdefault("annotations", {})[SYNC_PERIOD] = period
        hpa["spec"].update(spec)
        self.api.update(hpa)

    def syncs(self, name: str = "hpa/web") -> list[float]:
        """The seconds at which an HPA was synced."""
        return [decision.time for decision in self.decisions.of(name)]

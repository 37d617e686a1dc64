"""What a diagnosis is made from: the API server, the time, and the record that it becomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubesim.apiserver import KubeAPI
from kubesim.client import Decision, RuleStep
from kubesim.objects import meta
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.kindnames import LEASE, NODE, POD
from kubesim.objects.wellknown import LEASE_NAMESPACE

if TYPE_CHECKING:
    from kubesim.objects.types import NodeDict, PodDict

COMPONENT = "explain"
ApiObject = ReadOnlyDocument
"""An object of any kind."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What holds an object up.

    Attributes:
        verdict: the state in one sentence.
        steps: the facts that lead to it.
        binding: the field or the object that holds it up.
        way_out: what would let it go on.
    """

    verdict: str
    steps: tuple[RuleStep, ...]
    binding: str
    way_out: str

    def decision(self, obj: ApiObject, now: float) -> Decision:
        """Return the diagnosis as a record about an object."""
        return Decision(
            time=now,
            revision=meta.resource_version_of(obj),
            component=COMPONENT,
            object=meta.reference_to(obj),
            verdict=self.verdict,
            steps=self.steps,
            binding=self.binding,
            would_change_if=self.way_out,
        )


class Facts:
    """Reads what a diagnosis needs.

    Args:
        api: the API server.
    """

    def __init__(self, api: KubeAPI) -> None:
        self.api = api

    @property
    def now(self) -> float:
        """The simulated second."""
        return self.api.clock.now()

    def second(self, timestamp: object) -> float | None:
        """Return an RFC 3339 string in seconds; None if there is none."""
        return self.api.clock.seconds_at(timestamp) if isinstance(timestamp, str) else None

    def pods_in(self, namespace: str) -> Sequence[PodDict]:
        """Return all pods of a namespace."""
        return self.api.snapshot(POD, namespace)[0]

    def pods_of(self, owner: ApiObject) -> list[PodDict]:
        """Return the pods that an object owns."""
        return [
            pod for pod in self.pods_in(meta.namespace_of(owner)) if meta.is_owned_by(pod, owner)
        ]

    def node(self, name: str) -> NodeDict | None:
        """Return a node; None if there is none of that name."""
        return self.api.peek(NODE, name) if name else None

    def silent_since(self, node: NodeDict) -> float | None:
        """Return when the kubelet of a node was last heard of; None while it reports."""
        conditions = (node.get("status") or {}).get("conditions") or ()
        ready = next((each for each in conditions if each["type"] == "Ready"), None)
        if ready is None or ready["status"] != "Unknown":
            return None
        lease = self.api.peek(LEASE, meta.name_of(node), LEASE_NAMESPACE)
        heard = [(lease or {}).get("spec", {}).get("renewTime"), ready.get("lastHeartbeatTime")]
        seconds = [second for each in heard if (second := self.second(each)) is not None]
        return max(seconds, default=0.0)


def seconds_text(second: float | None) -> str:
    """Return a simulated second as it is shown: ``t=12.5``."""
    return "an unknown time" if second is None else f"t={second:g}"

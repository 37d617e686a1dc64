"""`explain()`: the decisions about one object, newest first, as text, as data and as HTML.

`kubectl describe` shows what happened to an object; this shows why. No counterpart in Kubernetes.
"""

from __future__ import annotations

from typing import Any

from kubesim.client.decisions import Decision, DecisionLog
from kubesim.errors import BadRequest, NotFound, mapping_hint
from kubesim.table import Table

ALIASES = {
    "po": "pod",
    "pods": "pod",
    "horizontalpodautoscaler": "hpa",
    "horizontalpodautoscalers": "hpa",
    "sts": "statefulset",
    "statefulsets": "statefulset",
    "deploy": "deployment",
    "deployments": "deployment",
    "rs": "replicaset",
    "replicasets": "replicaset",
    "pdb": "poddisruptionbudget",
    "poddisruptionbudgets": "poddisruptionbudget",
    "ds": "daemonset",
    "daemonsets": "daemonset",
    "jobs": "job",
    "svc": "service",
    "services": "service",
    "no": "node",
    "nodes": "node",
}


class Explanation:
    """What was decided about one object, and why.

    Attributes:
        object: the object, as in ``hpa/auto-pod``.
        decisions: its kept decision records, oldest first; at least one.
    """

    def __init__(self, object: str, decisions: list[Decision]) -> None:
        self.object = object
        self.decisions = decisions

    @property
    def latest(self) -> Decision:
        """The newest decision."""
        return self.decisions[-1]

    def history(self) -> Table:
        """All kept decisions, one line each, oldest first."""
        return Table(
            ("time [s]", "component", "verdict", "bound by"),
            [(d.time, d.component, d.verdict, d.binding) for d in self.decisions],
            title=f"{self.object}: {len(self.decisions)} decisions",
        )

    def to_dicts(self) -> list[dict[str, Any]]:
        """The records as plain JSON data, oldest first."""
        return [decision.to_dict() for decision in self.decisions]

    def __str__(self) -> str:
        earlier = len(self.decisions) - 1
        note = f"\n({earlier} earlier decisions: .history())" if earlier else ""
        return f"{self.latest}{note}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        earlier = len(self.decisions) - 1
        note = f"<p>{earlier} earlier decisions: <code>.history()</code></p>" if earlier else ""
        return f"{self.latest._repr_html_()}{note}"


def explain(log: DecisionLog, reference: str) -> Explanation:
    """The decisions about an object named ``kind/name`` or ``kind/namespace/name``.

    Raises:
        BadRequest: the reference has no such form.
        NotFound: nothing was decided about that object (yet); the message lists what was.
    """
    kind, _, rest = reference.partition("/")
    if not kind or not rest:
        raise BadRequest(
            f"{reference!r} names no object", hint="write kind/name, for example hpa/auto-pod"
        )
    name = rest.removeprefix("default/")
    full = f"{ALIASES.get(kind.lower(), kind.lower())}/{name}"
    decisions = log.of(full)
    if not decisions:
        raise NotFound(
            f"nothing was decided about {full!r} yet", hint=mapping_hint(full, log.objects())
        )
    return Explanation(full, decisions)

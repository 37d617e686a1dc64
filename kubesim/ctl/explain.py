"""`explain()`: the decisions about one object, newest first, as text, as data and as HTML.

`kubectl describe` shows what happened to an object; this shows why. No counterpart in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from kubesim.client.decisions import Decision, DecisionLog
from kubesim.errors import BadRequest, NotFound, mapping_hint
from kubesim.objects.wellknown import DEFAULT_NAMESPACE
from kubesim.scheduler.explain.tables import attempt_table
from kubesim.scheduler.explain.whatif import Proposal
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
    "cj": "cronjob",
    "cronjobs": "cronjob",
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
        proposals: of a pod that waits: the smallest changes that would let it fit now, each tried
            out on the scheduler's own filters.
    """

    def __init__(
        self, object: str, decisions: list[Decision], proposals: Sequence[Proposal] = ()
    ) -> None:
        self.object = object
        self.decisions = decisions
        self.proposals = list(proposals)

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

    def table(self) -> Table | None:
        """Of a pod: node by plug-in in the newest attempt to place it; None if there was none.

        Who refused a node and why, or each plug-in's score as ``weighted (raw -> normalized)``.
        """
        for decision in reversed(self.decisions):
            if decision.data.get("table"):
                return attempt_table(decision.data["table"], f"{self.object}: node by plug-in")
        return None

    def to_dicts(self) -> list[dict[str, Any]]:
        """The records as plain JSON data, oldest first."""
        return [decision.to_dict() for decision in self.decisions]

    def __str__(self) -> str:
        parts = [str(self.latest)]
        table = self.table() if self.latest.data.get("table") else None
        if table is not None:
            parts.append(str(table))
        if self.proposals:
            parts.append("smallest changes that would let it fit:")
            parts += [f"  - {proposal}" for proposal in self.proposals]
        earlier = len(self.decisions) - 1
        if earlier:
            parts.append(f"({earlier} earlier decisions: .history())")
        return "\n".join(parts)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        table = self.table() if self.latest.data.get("table") else None
        html = self.latest._repr_html_() + (table._repr_html_() if table is not None else "")
        if self.proposals:
            items = "".join(f"<li>{escape(str(proposal))}</li>" for proposal in self.proposals)
            html += f"<p>Smallest changes that would let it fit:</p><ul>{items}</ul>"
        earlier = len(self.decisions) - 1
        note = f"<p>{earlier} earlier decisions: <code>.history()</code></p>" if earlier else ""
        return f"{html}{note}"


def explain(
    log: DecisionLog,
    reference: str,
    proposals: Callable[[str, str], Sequence[Proposal]] | None = None,
) -> Explanation:
    """The decisions about an object named ``kind/name`` or ``kind/namespace/name``.

    Args:
        log: where the decisions are.
        reference: the object.
        proposals: asked with name and namespace of a pod: what would let it fit?

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
    found: Sequence[Proposal] = ()
    if proposals is not None and full.startswith("pod/"):
        namespace, _, pod = name.rpartition("/")
        found = proposals(pod, namespace or DEFAULT_NAMESPACE)
    if not decisions:
        hint = "; ".join(str(p) for p in found) or mapping_hint(full, log.objects())
        raise NotFound(f"nothing was decided about {full!r} yet", hint=hint)
    return Explanation(full, decisions, found)

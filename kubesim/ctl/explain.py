"""`explain()`: the decisions about one object, as text, as data and as HTML.

`kubectl describe` shows what happened to an object; this shows why. No counterpart in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from kubesim.client.decisions import Decision, DecisionLog
from kubesim.errors import BadRequest, NotFound, mapping_hint
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.references import KindNames, Reference, parse_reference
from kubesim.quantity import count_of
from kubesim.scheduler.explain.tables import attempt_table
from kubesim.scheduler.explain.whatif import ChangeProposal
from kubesim.table import Table

# Kinds whose decisions are recorded under a short name.
SHORT = {"HorizontalPodAutoscaler": "hpa"}
# Things that decisions are about, but that are not objects of the API.
NOT_OBJECTS = ("zone", "hpa-shadow")


class Explanation:
    """What was decided about one object, and why.

    Attributes:
        object: the object, for example ``hpa/auto-pod``.
        decisions: the kept decisions about it, oldest first; at least one.
        proposals: for a pending pod: the smallest changes that would let it fit now, each tried
            with the scheduler's own filters.
    """

    def __init__(
        self, object: str, decisions: list[Decision], proposals: Sequence[ChangeProposal] = ()
    ) -> None:
        self.object = object
        self.decisions = decisions
        self.proposals = list(proposals)

    @property
    def latest(self) -> Decision:
        """The newest decision."""
        return self.decisions[-1]

    def history(self) -> Table:
        """Return all kept decisions, one row each, oldest first."""
        return Table(
            ("time [s]", "component", "verdict", "bound by"),
            [(d.time, d.component, d.verdict, d.binding) for d in self.decisions],
            title=f"{self.object}: {count_of(len(self.decisions), 'decision')}",
        )

    def table(self) -> Table | None:
        """Return a pod's newest scheduling attempt, node by plug-in; None without an attempt.

        A cell is the reason why a plug-in rejected the node, or the plug-in's score as ``weighted
        (raw -> normalized)``.
        """
        for decision in reversed(self.decisions):
            if decision.data.get("table"):
                return attempt_table(decision.data["table"], f"{self.object}: node by plug-in")
        return None

    def to_dicts(self) -> list[Document]:
        """Return the decisions as plain JSON data, oldest first."""
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
            parts.append(f"({count_of(earlier, 'earlier decision')}: .history())")
        return "\n".join(parts)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        table = self.table() if self.latest.data.get("table") else None
        html = self.latest._repr_html_() + (table._repr_html_() if table is not None else "")
        if self.proposals:
            items = "".join(f"<li>{escape(str(proposal))}</li>" for proposal in self.proposals)
            html += f"<p>Smallest changes that would let it fit:</p><ul>{items}</ul>"
        earlier = len(self.decisions) - 1
        note = (
            f"<p>{count_of(earlier, 'earlier decision')}: <code>.history()</code></p>"
            if earlier
            else ""
        )
        return f"{html}{note}"


def explain(
    log: DecisionLog,
    reference: str,
    kinds: KindNames,
    proposals: Callable[[str, str], Sequence[ChangeProposal]] | None = None,
    diagnosis: Callable[[Reference, Sequence[Decision]], Decision | None] | None = None,
) -> Explanation:
    """Return the decisions about an object, and what holds it up now.

    Args:
        log: the log of decisions.
        reference: the object, as ``kind/name`` or ``kind/namespace/name``.
        kinds: the registry of the server, for all names of a kind.
        proposals: called with name and namespace of a pod; returns what would let it fit.
        diagnosis: called with the object and its recorded decisions; returns what holds it up now.

    Raises:
        BadRequest: the reference has another form.
        NotFound: the server has no such kind, or no decision about the object has been recorded;
            the message lists the objects that have one.
    """
    target, full = _named(reference, kinds)
    decisions = log.of(full)
    state: Decision | None = None
    if diagnosis is not None and target is not None:
        state = diagnosis(target, decisions)
    if state is not None:
        decisions = [*decisions, state]
    changes: Sequence[ChangeProposal] = ()
    if proposals is not None and target is not None and target.kind == "Pod":
        changes = proposals(target.name, target.namespace)
    if not decisions:
        hint = "; ".join(str(change) for change in changes) or mapping_hint(full, log.objects())
        raise NotFound(f"no decision about {full!r} has been recorded", hint=hint)
    return Explanation(full, decisions, changes)


class DiagnosedLog:
    """The decision log together with what holds an object up now: what `explain` shows.

    Args:
        log: the recorded decisions.
        kinds: the registry of the server, for all names of a kind.
        diagnosis: as for `explain`.
    """

    def __init__(
        self,
        log: DecisionLog,
        kinds: KindNames,
        diagnosis: Callable[[Reference, Sequence[Decision]], Decision | None],
    ) -> None:
        self._log = log
        self._kinds = kinds
        self._diagnosis = diagnosis

    def of(self, object: str, /) -> Sequence[Decision]:
        """Return the decisions about an object, oldest first; () if there are none."""
        try:
            return explain(self._log, object, self._kinds, diagnosis=self._diagnosis).decisions
        except (BadRequest, NotFound):
            return ()

    def objects(self) -> list[str]:
        """Return the objects about which there are recorded decisions."""
        return self._log.objects()


def _named(reference: str, kinds: KindNames) -> tuple[Reference | None, str]:
    """Return the object, and its name in the log.

    There are also decisions about things that are not objects (``zone/default``): None for those.
    """
    parts = reference.split("/") if isinstance(reference, str) else []
    kind = parts[0].lower() if parts else ""
    if kind in NOT_OBJECTS and len(parts) > 1 and all(parts):
        return None, meta.reference(kind, "/".join(parts[1:]))
    target = parse_reference(reference, kinds)
    return target, meta.reference(SHORT.get(target.kind, target.kind.lower()), target.key)

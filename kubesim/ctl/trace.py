"""`trace()`: what followed from one request, as a tree of spans.

A request to create, change or delete an object leads to others: a controller creates ReplicaSets,
another one creates pods, the scheduler binds them, kubelets start them. No component calls another
one: each sees a change through its watch and writes the next one through the API server. So the
writes in the audit log, connected by `ownerReferences`, are the trace.

    create deployment/web                  client                       10.0 s .. 12.0 s
    └─ create replicaset/web-6d4cf56db6    deployment-controller        +0.0 s
       └─ create pod/web-6d4cf56db6-x2vqz  replicaset-controller        +0.0 s
          ├─ bind to node-2                scheduler/default-scheduler  +0.0 s
          └─ phase Pending -> Running ...  kubelet/node-2               +2.0 s

Real counterpart: tracing of the API server and the kubelet with OpenTelemetry
(kubernetes.io/docs/concepts/cluster-administration/system-traces). It ends with the request; this
trace continues through the watches until the pod is ready.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.audit import Write
from kubesim.errors import NotFound
from kubesim.objects import meta
from kubesim.objects.frozen import Document, ReadOnlyDocument
from kubesim.objects.references import parse_reference
from kubesim.table import Table

# Conditions that repeat another step: the binding, the phase, Ready.
SILENT_CONDITIONS = (
    "PodScheduled",
    "Initialized",
    "ContainersReady",
    "PodReadyToStartContainers",
)


@dataclass
class Span:
    """One step, from the write of its cause to the last write that followed from it.

    Attributes:
        name: what was done, for example ``create pod/web-0`` or ``bind to node-2``.
        actor: the component that wrote, or ``client``.
        object: the object, as ``kind/name`` or ``kind/namespace/name``.
        begin: simulated second at which the cause of the step was written.
        wrote: simulated second at which the step was written.
        end: simulated second of the last write that followed from the step.
        revision: store revision of the write.
        children: the steps that followed from this one, by revision.
    """

    name: str
    actor: str
    object: str
    begin: float
    wrote: float
    end: float
    revision: int
    children: list[Span] = field(default_factory=list)

    def to_dict(self) -> Document:
        """Return the span and its descendants as plain JSON data."""
        own = {key: value for key, value in vars(self).items() if key != "children"}
        return {**own, "children": [child.to_dict() for child in self.children]}

    def walk(self, depth: int = 0) -> Iterator[tuple[int, Span]]:
        """Yield (depth, span) for this span and its descendants, from top to bottom."""
        yield depth, self
        for child in self.children:
            yield from child.walk(depth + 1)


class Trace:
    """A request and everything that followed from it.

    Attributes:
        root: the span of the request.
    """

    def __init__(self, root: Span) -> None:
        self.root = root

    @property
    def duration(self) -> float:
        """Simulated seconds from the request to the last write that followed from it."""
        return self.root.end - self.root.begin

    def spans(self) -> list[Span]:
        """Return all spans, from top to bottom."""
        return [span for _, span in self.root.walk()]

    def to_dict(self) -> Document:
        """Return the tree as plain JSON data."""
        return self.root.to_dict()

    def table(self) -> Table:
        """Return a table with one row for each span."""
        return Table(
            ("begin [s]", "wrote [s]", "revision", "actor", "what"),
            [
                (span.begin, span.wrote, span.revision, span.actor, "  " * depth + span.name)
                for depth, span in self.root.walk()
            ],
            title=f"{self.root.name}: {self.duration:g} s",
        )

    def __str__(self) -> str:
        lines = list(_lines(self.root, self.root.begin))
        width = max(len(left) for left, _, _ in lines)
        actors = max(len(actor) for _, actor, _ in lines)
        return "\n".join(f"{left:{width}}  {actor:{actors}}  {at}" for left, actor, at in lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        begin, whole = self.root.begin, max(self.duration, 1e-9)
        rows = []
        for depth, span in self.root.walk():
            left = 100 * (span.begin - begin) / whole
            width = max(0.5, 100 * (span.wrote - span.begin) / whole)
            bar = (
                f'<div style="margin-left:{left:.1f}%;width:{min(width, 100 - left):.1f}%;'
                'height:0.7em;background:#0072b2"></div>'
            )
            rows.append(
                f'<tr><td style="text-align:left;padding-left:{depth * 1.2 + 0.3:.1f}em">'
                f'{escape(span.name)}</td><td style="text-align:left">{escape(span.actor)}</td>'
                f'<td style="text-align:right">{span.revision}</td>'
                f'<td style="text-align:right">+{span.wrote - begin:.1f} s</td>'
                f'<td style="width:12em">{bar}</td></tr>'
            )
        head = "".join(
            f'<th style="text-align:{side}">{heading}</th>'
            for heading, side in (
                ("what", "left"),
                ("actor", "left"),
                ("revision", "right"),
                ("written", "right"),
                ("waited for", "left"),
            )
        )
        title = f"{self.root.name}, {self.duration:g} s of simulated time"
        return (
            f"<p><b>{escape(title)}</b></p><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{''.join(rows)}</tbody></table>"
        )


def _lines(root: Span, begin: float) -> Iterator[tuple[str, str, str]]:
    """Yield (name with its place in the tree, actor, time) of each span."""
    yield root.name, root.actor, f"{begin:.1f} s .. {root.end:.1f} s, revision {root.revision}"

    def below(span: Span, indent: str) -> Iterator[tuple[str, str, str]]:
        for number, child in enumerate(span.children, 1):
            last = number == len(span.children)
            at = f"+{child.wrote - begin:.1f} s"
            yield f"{indent}{'└─' if last else '├─'} {child.name}", child.actor, at
            yield from below(child, indent + ("   " if last else "│  "))

    yield from below(root, "")


def trace(api: KubeAPI, reference: str, revision: int | None = None) -> Trace:
    """Return what followed from a request about an object.

    Args:
        api: the API server, for its audit log.
        reference: the object, as ``kind/name`` or ``kind/namespace/name``.
        revision: of the request; None: the newest request about the object (its creation, a change
            of its spec, its deletion).

    Raises:
        BadRequest: the reference has another form.
        NotFound: no such kind, or the audit log keeps no such request.
    """
    target = parse_reference(reference, api.registry)
    key = api.registry.find(target.kind).key(target.namespace, target.name)
    called = str(target)
    rows = api.audit.rows()
    own = [index for index, row in enumerate(rows) if row.key == key and is_request(row)]
    if revision is not None:
        own = [index for index in own if rows[index].revision == revision]
    if not own:
        hint = f"the audit log keeps the newest {len(rows)} writes"
        at = "" if revision is None else f" at revision {revision}"
        raise NotFound(f"the audit log has no write of {called!r}{at}", hint=hint)
    return Trace(build(rows[own[-1] :], called))


def is_request(row: Write) -> bool:
    """Whether a write changes the desired state: creation, new spec or deletion, not a status."""
    if row.before is None:
        return True
    if row.after is None:
        return not meta.is_terminating(row.before)
    before, after = row.before, row.after
    if "generation" in after["metadata"]:
        return meta.generation_of(before) != meta.generation_of(after)
    return {k: v for k, v in before.items() if k not in ("status", "metadata")} != {
        k: v for k, v in after.items() if k not in ("status", "metadata")
    }


@dataclass
class _Open:
    """An object that the request has reached: its span, and the time of its last write."""

    span: Span
    last: float
    settled: bool = False


def build(rows: Sequence[Write], called: str) -> Span:
    """Return the tree that follows from the first of some writes.

    Args:
        rows: the request and all later writes, by revision.
        called: the object of the request, as ``kind/name``.
    """
    first = rows[0]
    document = _document(first)
    change = describe(first.before, first.after) or "change"
    what = _span_name(change, called)
    root = Span(what, first.actor, called, first.time, first.time, first.time, first.revision)
    reached = {meta.uid_of(document): _Open(root, first.time)}
    is_target = _target_test(document)
    for row in rows[1:]:
        document = _document(row)
        uid = meta.uid_of(document)
        if row.key == first.key and is_request(row):
            break  # the next request about it
        open_span = reached.get(uid)
        change = describe(row.before, row.after)
        if open_span is not None:
            if change and not open_span.settled:
                _add(open_span, row, change, open_span.span.object)
            open_span.settled = open_span.settled or (_is_ready_pod(row) and "Ready=True" in change)
            continue
        parent = _parent(reached, document)
        if parent is None and is_target(document) and row.actor.startswith("horizontal"):
            parent = reached[meta.uid_of(_document(first))]
        if parent is not None and change:
            object = called_of(document)
            name = _span_name(change, object)
            reached[uid] = _Open(_add(parent, row, name, object, moves=False), row.time)
    _close(root)
    return root


def _span_name(change: str, object: str) -> str:
    return f"{change} {object}" if change in ("create", "remove") else f"{object}: {change}"


def _add(parent: _Open, row: Write, name: str, object: str, *, moves: bool = True) -> Span:
    """Add a step below an object that was reached."""
    span = Span(name, row.actor, object, parent.last, row.time, row.time, row.revision)
    parent.span.children.append(span)
    if moves:  # the object's next step waits from here on
        parent.last = row.time
    parent.settled = False if "deletion" in name else parent.settled
    return span


def _close(span: Span) -> float:
    """Set the end of a span, and of its descendants; return it."""
    span.end = max([span.wrote, *(_close(child) for child in span.children)])
    return span.end


def describe(before: ReadOnlyDocument | None, after: ReadOnlyDocument | None) -> str:
    """Return what a write did, in a few words; "" if it only changed counters or heartbeats."""
    if before is None:
        return "create"
    if after is None:
        return "remove"
    changes = []
    if meta.is_terminating(after) and not meta.is_terminating(before):
        grace = after["metadata"].get("deletionGracePeriodSeconds", 0)
        changes.append(f"mark for deletion, {grace} s to stop")
    old_spec, spec = before.get("spec") or {}, after.get("spec") or {}
    if spec.get("nodeName") != old_spec.get("nodeName"):
        changes.append(f"bind to {spec.get('nodeName')}")
    elif spec.get("replicas") != old_spec.get("replicas"):
        changes.append(f"replicas {old_spec.get('replicas')} -> {spec.get('replicas')}")
    elif spec != old_spec:
        fields = sorted(key for key in {*spec, *old_spec} if spec.get(key) != old_spec.get(key))
        changes.append(f"change {', '.join(fields)}")
    old, new = before.get("status") or {}, after.get("status") or {}
    if old.get("phase") != new.get("phase"):
        changes.append(f"phase {old.get('phase')} -> {new.get('phase')}")
    changes += _transitions(old.get("conditions") or (), new.get("conditions") or ())
    return ", ".join(changes)


def _transitions(
    before: Sequence[ReadOnlyDocument], after: Sequence[ReadOnlyDocument]
) -> list[str]:
    # A condition that was not set and is False now has not changed.
    statuses: dict[object, object] = {item.get("type"): "False" for item in after}
    statuses.update({item.get("type"): item.get("status") for item in before})
    return [
        f"{item.get('type')}={item.get('status')}"
        for item in after
        if item.get("type") not in SILENT_CONDITIONS
        and statuses.get(item.get("type")) != item.get("status")
    ]


def _parent(reached: dict[str, _Open], document: ReadOnlyDocument) -> _Open | None:
    for reference in document["metadata"].get("ownerReferences") or ():
        if reference.get("uid") in reached:
            return reached[reference["uid"]]
    return None


def _is_ready_pod(row: Write) -> bool:
    return row.after is not None and row.after.get("kind") == "Pod"


def _document(row: Write) -> ReadOnlyDocument:
    document = row.before if row.after is None else row.after
    assert document is not None, "a write has an object before or after it"
    return document


def _target_test(document: ReadOnlyDocument) -> Callable[[ReadOnlyDocument], bool]:
    """Return a test for the object that an autoscaler scales; always false for other kinds."""
    target = (document.get("spec") or {}).get("scaleTargetRef") or {}
    if not target:
        return lambda _: False
    group = _group_of(str(target.get("apiVersion", "")))
    identity = target.get("kind"), meta.namespace_of(document), target.get("name"), group

    def is_target(other: ReadOnlyDocument) -> bool:
        place = other.get("kind"), meta.namespace_of(other), meta.name_of(other)
        return (*place, _group_of(str(other.get("apiVersion", "")))) == identity

    return is_target


def _group_of(api_version: str) -> str:
    return api_version.rpartition("/")[0]


def called_of(document: ReadOnlyDocument) -> str:
    """Return an object as ``kind/name`` or ``kind/namespace/name``."""
    return meta.reference(str(document.get("kind", "")).lower(), meta.key_of(document))

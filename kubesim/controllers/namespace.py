"""The namespace controller: empties a namespace that was deleted, then lets it go.

The API server only marks a namespace (phase Terminating, nothing new may be made in it). This
controller deletes what is inside, kind by kind, pods first; waits for what needs its time; tells in
five conditions how far it is; and in the end takes away the namespace's finalizer ``kubernetes``.

Ours keeps: the 5 s before it begins, the order of 1.33 (everything else only when no pod is left),
the wait of half the longest grace period + 1 s, conditions and their messages. It leaves out:
failures of discovery (our registry is always there; the two conditions about it are always False).

Source: pkg/controller/namespace/deletion/namespaced_resources_deleter.go,
status_condition_utils.go, pkg/controller/namespace/namespace_controller.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubesim.apiserver import ResourceEvent
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.verbs.propagation import BACKGROUND
from kubesim.client import Controller, Decision, Step
from kubesim.errors import Conflict, NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.conditions import set_condition
from kubesim.objects.frozen import Document
from kubesim.objects.pods import is_finished

START_DELAY_SECONDS = 5.0  # namespaceDeletionGracePeriod: creations in flight come to an end
FINALIZER_WAIT_SECONDS = 15  # finalizerEstimateSeconds: others have to let go of something first
FINALIZER = "kubernetes"
SOURCE = "https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/"

FINE: tuple[tuple[str, str, str], ...] = (
    (
        "NamespaceDeletionDiscoveryFailure",
        "ResourcesDiscovered",
        "All resources successfully discovered",
    ),
    (
        "NamespaceDeletionGroupVersionParsingFailure",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    (
        "NamespaceDeletionContentFailure",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    ("NamespaceContentRemaining", "ContentRemoved", "All content successfully removed"),
    (
        "NamespaceFinalizersRemaining",
        "ContentHasNoFinalizers",
        "All content-preserving finalizers finished",
    ),
)


# -- what is decided -------------------------------------------------------------------------------


@dataclass
class Remains:
    """What is left in a namespace after one round.

    Attributes:
        resources: number of objects by ``plural.group`` (``pods.`` for the core group).
        finalizers: number of objects that carry each finalizer.
        failures: what could not be deleted, in words.
        seconds: the longest time that something left may still need.
    """

    resources: Counter[str] = field(default_factory=Counter)
    finalizers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    seconds: int = 0


def grace_of_pods(pods: Iterable[Document], seconds_since_deletion: float) -> int:
    """Seconds that the pods of a dying namespace may need: the longest of their grace periods.

    Args:
        pods: those that are left; finished ones need no time.
        seconds_since_deletion: of the namespace; once it is longer than any grace period, 0.
    """
    longest = max(
        (
            int(pod["spec"].get("terminationGracePeriodSeconds") or 0)
            for pod in pods
            if not is_finished(pod)
        ),
        default=0,
    )
    return 0 if seconds_since_deletion >= longest else longest


def retry_after(seconds: int) -> int:
    """Seconds until the next round, from what the last one estimated.

    >>> retry_after(30), retry_after(15)
    (16, 8)
    """
    return seconds // 2 + 1


def conditions_for(remains: Remains) -> list[tuple[str, str, str, str]]:
    """The five conditions of a dying namespace: (type, status, reason, message)."""
    left, kept = remains.resources, remains.finalizers
    told: dict[str, tuple[str, str]] = {}
    if remains.failures:
        many = len(remains.failures)
        said = ", ".join(remains.failures)
        text = f"Failed to delete all resource types, {many} remaining: {said}"
        told["NamespaceDeletionContentFailure"] = ("ContentDeletionFailed", text)
    if left:
        listed = ", ".join(f"{name} has {left[name]} resource instances" for name in sorted(left))
        text = f"Some resources are remaining: {listed}"
        told["NamespaceContentRemaining"] = ("SomeResourcesRemain", text)
    if kept:
        listed = ", ".join(f"{name} in {kept[name]} resource instances" for name in sorted(kept))
        text = f"Some content in the namespace has finalizers remaining: {listed}"
        told["NamespaceFinalizersRemaining"] = ("SomeFinalizersRemain", text)
    return [
        (type, "True", *told[type]) if type in told else (type, "False", reason, message)
        for type, reason, message in FINE
    ]


def with_conditions(
    old: Sequence[Document], wanted: Sequence[tuple[str, str, str, str]], now: str
) -> list[Document]:
    """The conditions of a namespace with these set; times move when a status changes."""
    conditions = list(old)
    for type, status, reason, message in wanted:
        conditions = set_condition(conditions, type, status, reason, message, now)
    return conditions


# -- the controller --------------------------------------------------------------------------------


class NamespaceController(Controller):
    """Reconciles namespaces that are being deleted.

    Args:
        start_delay_seconds: how long it waits before it begins.
    """

    name = "namespace-controller"

    def __init__(
        self, *args: Any, start_delay_seconds: float = START_DELAY_SECONDS, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._delay = start_delay_seconds
        self._namespaces = self.informer("Namespace", self._changed)

    def _changed(self, event: ResourceEvent) -> Iterable[str]:
        namespace = event.object
        if event.type != "DELETED" and meta.is_terminating(namespace):
            self.queue.add_after(meta.name_of(namespace), self._delay)
        return ()

    def reconcile(self, key: str) -> None:
        """One round: delete what is there, tell what is left, come back or finish."""
        namespace = self.api.peek("Namespace", key)
        if namespace is None or not meta.is_terminating(namespace):
            return
        if FINALIZER not in ((namespace.get("spec") or {}).get("finalizers") or ()):
            return
        remains = self._empty(namespace)
        self._tell(namespace, remains)
        if remains.resources or remains.seconds:
            wait = retry_after(remains.seconds)
            self.queue.add_after(key, wait)
            self._remember(namespace, remains, wait)
        else:
            self._finish(key)

    def _empty(self, namespace: Document) -> Remains:
        """Pods first; the other kinds once no pod is left."""
        since = self.clock.now() - self.clock.seconds_at(namespace["metadata"]["deletionTimestamp"])
        remains = Remains()
        kinds = self._kinds()
        self._delete_all(kinds["Pod"], meta.name_of(namespace), since, remains)
        if not remains.resources:
            for kind in kinds.values():
                self._delete_all(kind, meta.name_of(namespace), since, remains)
        return remains

    def _kinds(self) -> Mapping[str, Kind]:
        """What can be in a namespace, asked anew each time: kinds may be added at run time."""
        return {
            kind.kind: kind
            for kind in self.api.registry.kinds()
            if kind.namespaced and not kind.read_only and kind.compute is None
        }

    def _delete_all(self, kind: Kind, namespace: str, since: float, remains: Remains) -> None:
        objects, _ = self.api.snapshot(kind.kind, namespace)
        seconds = grace_of_pods(objects, since) if kind.kind == "Pod" else 0
        for obj in objects:
            if meta.is_terminating(obj):
                continue
            try:
                self.api.delete(
                    kind.kind,
                    meta.name_of(obj),
                    namespace,
                    uid=meta.uid_of(obj),
                    propagation_policy=BACKGROUND,
                )
                self.counts["deleted"] += 1
            except (NotFound, Conflict):
                continue  # it went by itself, or is another by now: the next round sees it
            except StatusError as error:
                remains.failures.append(error.message)
        left, _ = self.api.snapshot(kind.kind, namespace) if objects else ([], 0)
        if not left:
            return
        remains.resources[f"{kind.plural}.{kind.group}"] = len(left)
        carried = Counter(name for obj in left for name in obj["metadata"].get("finalizers") or ())
        remains.finalizers.update(carried)
        if not seconds and carried:
            seconds = FINALIZER_WAIT_SECONDS
        remains.seconds = max(remains.seconds, seconds)

    def _tell(self, namespace: Document, remains: Remains) -> None:
        """Write the conditions if they say something new."""
        status = namespace.get("status") or {}
        old = status.get("conditions") or ()
        conditions = with_conditions(old, conditions_for(remains), self.clock.timestamp())
        if list(old) != conditions:
            status = {**status, "phase": "Terminating", "conditions": conditions}
            self.api.update_status({**namespace, "status": status})

    def _finish(self, name: str) -> None:
        current = self.api.get("Namespace", name)
        finalizers = current["spec"].get("finalizers") or []
        current["spec"]["finalizers"] = [each for each in finalizers if each != FINALIZER]
        self.api.finalize(current)
        self.counts["emptied"] += 1
        rest = current["metadata"].get("finalizers")
        why = f"it waits for its finalizers {rest}" if rest else "it goes"
        self._record(current, f"let {name} go: nothing is left in it; {why}", (), "")

    def _remember(self, namespace: Document, remains: Remains, wait: int) -> None:
        left = dict(remains.resources)
        step = Step(
            "what is left",
            {**left, "finalizers": dict(remains.finalizers), "estimate_seconds": remains.seconds},
            f"looked at again in {wait} s (half the estimate + 1)",
            SOURCE,
        )
        names = ", ".join(f"{many} of {name.rstrip('.')}" for name, many in sorted(left.items()))
        would = "the last of them ends, or its finalizers are taken away"
        self._record(namespace, f"wait for {names}", (step,), would)

    def _record(
        self, namespace: Document, verdict: str, steps: tuple[Step, ...], would: str
    ) -> None:
        self.decisions.record(
            Decision(
                time=self.clock.now(),
                revision=meta.resource_version_of(namespace),
                component=self.name,
                object=f"namespace/{meta.name_of(namespace)}",
                verdict=verdict,
                steps=steps,
                binding="a namespace goes when nothing is left in it",
                would_change_if=would,
            )
        )

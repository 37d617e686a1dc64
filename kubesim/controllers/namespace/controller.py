"""The namespace controller: deletes the content of a terminating namespace, then releases it.

The API server only marks a namespace (phase Terminating; creations in it are refused). This
controller deletes the content kind by kind, pods first; waits for graceful termination and for
finalizers; reports what remains in five conditions; and finally removes the finalizer
``kubernetes``.

Ours keeps: the initial delay of 5 s, the order of 1.33 (other kinds only once no pod is left), the
wait of half the longest grace period + 1 s, conditions and their messages. It leaves out: discovery
failures (our registry is always available; the two conditions about it are always False).

Source: pkg/controller/namespace/deletion/namespaced_resources_deleter.go,
pkg/controller/namespace/namespace_controller.go.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, cast

from kubesim.apiserver import ResourceEvent
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.verbs.propagation import BACKGROUND
from kubesim.client import Controller, RuleStep, Tools
from kubesim.controllers.namespace.plan import (
    FINALIZER,
    FINALIZER_WAIT_SECONDS,
    START_DELAY_SECONDS,
    NamespaceContent,
    conditions_for,
    grace_of_pods,
    retry_after,
    with_conditions,
)
from kubesim.errors import Conflict, NotFound, StatusError
from kubesim.objects import meta
from kubesim.objects.kindnames import NAMESPACE
from kubesim.quantity import count_of

if TYPE_CHECKING:
    from kubesim.objects.types import NamespaceDict, PodDict

SOURCE = "https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/"


class NamespaceController(Controller):
    """Reconciles namespaces that are being deleted.

    Args:
        start_delay_seconds: time between the deletion request and the first round.
        options: of the base class.
    """

    name = "namespace-controller"

    def __init__(
        self, tools: Tools, *, start_delay_seconds: float = START_DELAY_SECONDS, **options: float
    ) -> None:
        super().__init__(tools, **options)
        self._delay = start_delay_seconds
        self._namespaces = self.informer(NAMESPACE, self._namespace_changed)

    def _namespace_changed(self, event: ResourceEvent[NamespaceDict]) -> Iterable[str]:
        namespace = event.object
        if event.type != "DELETED" and meta.is_terminating(namespace):
            self.queue.add_after(meta.name_of(namespace), self._delay)
        return ()

    def reconcile(self, key: str) -> None:
        """Delete the content, report what remains, then requeue the key or finalize."""
        namespace = self.api.peek(NAMESPACE, key)
        if namespace is None or not meta.is_terminating(namespace):
            return
        if FINALIZER not in ((namespace.get("spec") or {}).get("finalizers") or ()):
            return
        remains = self._delete_content(namespace)
        self._update_conditions(namespace, remains)
        if remains.resources or remains.seconds:
            wait = retry_after(remains.seconds)
            self.queue.add_after(key, wait)
            self._record_wait(namespace, remains, wait)
        else:
            self._remove_finalizer(key)

    def _delete_content(self, namespace: NamespaceDict) -> NamespaceContent:
        """Delete the pods first, the other kinds once no pod is left."""
        since = self.clock.now() - self.clock.seconds_at(namespace["metadata"]["deletionTimestamp"])
        remains = NamespaceContent()
        kinds = self._deletable_kinds()
        self._delete_all(kinds["Pod"], meta.name_of(namespace), since, remains)
        if not remains.resources:
            for kind in kinds.values():
                self._delete_all(kind, meta.name_of(namespace), since, remains)
        return remains

    def _deletable_kinds(self) -> Mapping[str, Kind]:
        """Return the namespaced kinds by name; read again each time, since CRDs may add kinds."""
        return {
            kind.qualified_kind: kind
            for kind in self.api.registry.kinds()
            if kind.namespaced and not kind.read_only and kind.compute is None
        }

    def _delete_all(
        self, kind: Kind, namespace: str, since: float, remains: NamespaceContent
    ) -> None:
        objects, _ = self.api.snapshot(kind.qualified_kind, namespace)
        seconds = (
            grace_of_pods(cast("list[PodDict]", objects), since)
            if kind.qualified_kind == "Pod"
            else 0
        )
        for obj in objects:
            if meta.is_terminating(obj):
                continue
            try:
                self.api.delete(
                    kind.qualified_kind,
                    meta.name_of(obj),
                    namespace,
                    uid=meta.uid_of(obj),
                    propagation_policy=BACKGROUND,
                )
                self.counts["deleted"] += 1
            except (NotFound, Conflict):
                continue  # deleted or replaced in the meantime: the next round sees it
            except StatusError as error:
                remains.failures.append(error.message)
        remaining, _ = self.api.snapshot(kind.qualified_kind, namespace) if objects else ([], 0)
        if not remaining:
            return
        remains.resources[f"{kind.plural}.{kind.group}"] = len(remaining)
        carried = Counter(
            name for obj in remaining for name in obj["metadata"].get("finalizers") or ()
        )
        remains.finalizers.update(carried)
        if not seconds and carried:
            seconds = FINALIZER_WAIT_SECONDS
        remains.wait_at_least(seconds)

    def _update_conditions(self, namespace: NamespaceDict, remains: NamespaceContent) -> None:
        """Write the conditions if they changed."""
        status = namespace.get("status") or {}
        old = status.get("conditions") or ()
        conditions = with_conditions(old, conditions_for(remains), self.clock.timestamp())
        if list(old) != conditions:
            status = {**status, "phase": "Terminating", "conditions": conditions}
            self.api.update_status({**namespace, "status": status})

    def _remove_finalizer(self, name: str) -> None:
        current = self.api.get(NAMESPACE, name)
        finalizers = current["spec"].get("finalizers") or []
        current["spec"]["finalizers"] = [name for name in finalizers if name != FINALIZER]
        self.api.finalize(current)
        self.counts["emptied"] += 1
        remaining = current["metadata"].get("finalizers")
        reason = f"it waits for its finalizers {remaining}" if remaining else "it is deleted"
        self._record(current, f"finalize {name}: it is empty; {reason}", (), "")

    def _record_wait(self, namespace: NamespaceDict, remains: NamespaceContent, wait: int) -> None:
        resources = dict(remains.resources)
        step = RuleStep(
            "remaining content",
            {
                **resources,
                "finalizers": dict(remains.finalizers),
                "estimate_seconds": remains.seconds,
            },
            f"next round in {wait} s (half the estimate + 1)",
            SOURCE,
        )
        names = ", ".join(self._amount_of(name, count) for name, count in sorted(resources.items()))
        change = "the last of them is deleted, or its finalizers are removed"
        self._record(namespace, f"wait for {names}", (step,), change)

    def _amount_of(self, resource: str, count: int) -> str:
        """Return a number of objects of a ``plural.group``, for example ``1 deployment.apps``."""
        plural, _, group = resource.partition(".")
        singular = self.api.registry.find(plural if not group else resource).singular
        suffix = f".{group}" if group else ""
        return count_of(count, f"{singular}{suffix}", f"{plural}{suffix}")

    def _record(
        self, namespace: NamespaceDict, verdict: str, steps: tuple[RuleStep, ...], change: str
    ) -> None:
        self.decide(
            namespace,
            verdict,
            steps=steps,
            binding="a namespace is deleted once it is empty",
            would_change_if=change,
        )

"""The verbs that delete: delete and deletecollection.

Deletion is graceful: a bound, running pod is only marked (deletionTimestamp); its kubelet stops it
and then removes it. An object with finalizers stays, marked, until the last one is removed. Two
finalizers hold it until its dependents are deleted or orphaned (`propagation`). A namespace has a
finalizer, ``kubernetes``: the namespace controller empties it, and then `finalize`s it.

Source: k8s.io/apiserver/pkg/registry/generic/registry/store.go (Delete, DeleteCollection),
pkg/registry/rest/delete.go (BeforeDelete), pkg/registry/core/pod/strategy.go
(CheckGracefulDelete).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

from kubesim.apiserver.core import NOT_ALLOWED, Core, at_revision, view_of
from kubesim.apiserver.kindrules.definitions import CLEANUP
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.verbs.advice import Advice
from kubesim.apiserver.verbs.propagation import check_policy, finalizers_after
from kubesim.apiserver.verbs.read import Reader
from kubesim.apiserver.verbs.write import namespace_finalizers
from kubesim.errors import BadRequest, Conflict, Forbidden, MethodNotAllowed, NotFound
from kubesim.objects.frozen import Document, freeze, thaw
from kubesim.objects.meta import name_of, namespace_of, set_condition, uid_of
from kubesim.objects.pods import is_finished, node_of
from kubesim.objects.wellknown import DEFAULT_NAMESPACE, TERMINATION_GRACE_SECONDS

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

DEFINITION = "CustomResourceDefinition.apiextensions.k8s.io"
PROTECTED_NAMESPACES = ("default", "kube-public", "kube-system")


class Deleter:
    """Implements the verbs delete and deletecollection.

    Args:
        core: of the server.
        reader: lists the objects of a collection.
        advice: the warnings of writes.
    """

    def __init__(self, core: Core, reader: Reader, advice: Advice) -> None:
        self._core = core
        self._advice = advice
        self._reader = reader

    def delete(
        self,
        kind: str,
        name: str,
        namespace: str | None = None,
        *,
        grace_period_seconds: int | None = None,
        uid: str | None = None,
        resource_version: str | int | None = None,
        propagation_policy: str | None = None,
        dry_run: bool = False,
        warnings: list[str] | None = None,
    ) -> Document:
        """Delete an object, gracefully if it is a running pod; return its last state.

        Args:
            kind: any name of the kind.
            name: of the object.
            namespace: None: ``default``.
            grace_period_seconds: for pods: seconds to stop in; 0: the pod is removed at once,
                without its kubelet. None: as the pod says (30 s).
            uid, resource_version: delete only the object with these.
            propagation_policy: what happens to the object's dependents: "Background" (they are
                deleted afterwards), "Foreground" (they are deleted first), "Orphan" (they stay);
                None: as the object's finalizers say, else the default of its kind.
            dry_run: check everything, and change nothing.
            warnings: a list of the caller, to which warnings are added.

        Raises:
            NotFound: there is no such object.
            Conflict: a precondition does not hold.
            Forbidden: the namespace may not be deleted.
            Invalid: an unknown policy.
        """
        core = self._core
        resource = core.registry.find(kind)
        self.check_deletable(resource, name, grace_period_seconds)
        check_policy(propagation_policy, resource.kind, name)
        key = resource.key(namespace or DEFAULT_NAMESPACE, name)
        while True:
            kv = core.store.get(key)
            if kv is None:
                raise core.not_found(resource, name, namespace)
            core.check_preconditions(resource, kv, uid, resource_version)
            if warnings is not None and self._advice.rules:
                warnings.clear()  # of an attempt that another write came between
                self._advice.add(resource, kv.value, "DELETE", warnings)
            old = kv.value if dry_run else self._without_objects(resource, kv.value)
            marked = self._mark(resource, old, grace_period_seconds, propagation_policy)
            if dry_run or marked is kv.value:
                return thaw(view_of(kv))
            if marked is None:
                if core.remove(resource, kv):
                    return thaw(view_of(kv))
                continue
            compare, put = [(key, kv.mod_revision)], [(key, freeze(marked))]
            done = core.commit(compare, put, before=kv.value, lease=kv.lease)
            if done.succeeded:
                return thaw(at_revision(marked, done.revision))

    def delete_collection(
        self,
        kind: str,
        namespace: str | None = None,
        *,
        label_selector: str = "",
        field_selector: str = "",
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
        dry_run: bool = False,
        warnings: list[str] | None = None,
    ) -> Document:
        """Delete each object that the selectors match, one after the other.

        Args:
            kind: any name of the kind.
            namespace: None: all namespaces.
            label_selector, field_selector: which objects; "": all.
            grace_period_seconds, propagation_policy, dry_run, warnings: as for `delete`.

        Returns:
            The list of the objects before their deletion.

        Raises:
            MethodNotAllowed: objects of that kind are deleted one by one (namespaces).
            BadRequest: a malformed selector.
        """
        resource = self._core.registry.find(kind)
        if "deletecollection" not in resource.verbs:
            raise MethodNotAllowed(NOT_ALLOWED)
        listed = self._reader.list(
            kind, namespace, label_selector=label_selector, field_selector=field_selector
        )
        for document in listed["items"]:
            of_object: list[str] = []
            try:
                self.delete(
                    resource.qualified_kind,
                    name_of(document),
                    namespace_of(document) or None,
                    uid=uid_of(document),
                    grace_period_seconds=grace_period_seconds,
                    propagation_policy=propagation_policy,
                    dry_run=dry_run,
                    warnings=of_object,
                )
            except (NotFound, Conflict):
                continue  # another client deleted it, and perhaps created it again
            if warnings is not None:
                warnings.extend(of_object)
        return listed

    def check_deletable(self, kind: Kind, name: str, grace_seconds: int | None) -> None:
        """Refuse a deletion that is never allowed.

        Args:
            kind: of the object.
            name: of the object.
            grace_seconds: of the request.

        Raises:
            MethodNotAllowed: clients may not delete objects of that kind.
            BadRequest: the grace period is not a whole number.
            Forbidden: the namespace may not be deleted.
        """
        if kind.read_only:
            raise MethodNotAllowed(NOT_ALLOWED)
        if grace_seconds is not None and type(grace_seconds) is not int:
            raise BadRequest(f"grace_period_seconds must be a whole number, not {grace_seconds!r}")
        if kind.qualified_kind == "Namespace" and name in PROTECTED_NAMESPACES:
            message = f'namespaces "{name}" is forbidden: this namespace may not be deleted'
            raise Forbidden(message, kind=kind.plural, name=name)

    # -- custom kinds ------------------------------------------------------------------------------

    def _without_objects(self, deleted: Kind, definition: Document) -> Document:
        """Delete the objects of a definition; those with finalizers hold it. Return it.

        Source: k8s.io/apiextensions-apiserver/pkg/controller/finalizer/crd_finalizer.go.
        """
        if deleted.qualified_kind != DEFINITION:
            return definition
        core, spec = self._core, definition["spec"]
        kind = core.registry.find(f"{spec['names']['kind']}.{spec['group']}")
        for kv in core.store.list(kind.prefix).items:
            with suppress(NotFound):
                self.delete(kind.qualified_kind, name_of(kv.value), namespace_of(kv.value) or None)
        metadata = definition["metadata"]
        finalizers = list(metadata.get("finalizers") or ())
        if CLEANUP in finalizers or not core.store.list(kind.prefix).items:
            return definition
        status = definition.get("status") or {}
        conditions = set_condition(
            status.get("conditions") or (),
            "Terminating",
            "True",
            now=core.clock.timestamp(),
            reason="InstanceDeletionInProgress",
            message="CustomResource deletion is in progress",
        )
        return {
            **definition,
            "metadata": {**metadata, "finalizers": [*finalizers, CLEANUP]},
            "status": {**status, "conditions": conditions},
        }

    # -- marking -----------------------------------------------------------------------------------

    def _mark(
        self, kind: Kind, old: Document, grace_seconds: int | None, policy: str | None
    ) -> Document | None:
        """Return the object marked for deletion.

        The object itself is returned if nothing changes, None if it is to be removed now.
        """
        clock, metadata = self._core.clock, old["metadata"]
        already_marked = "deletionTimestamp" in metadata
        grace = _grace_seconds(kind, old, grace_seconds)
        before = list(metadata.get("finalizers") or ())
        finalizers = finalizers_after(before, policy, kind.propagation)
        if grace == 0 and not finalizers and not namespace_finalizers(kind, old):
            return None
        kept = {**metadata, "finalizers": finalizers} if finalizers != before else metadata
        if not finalizers:
            kept = {name: value for name, value in kept.items() if name != "finalizers"}
        requested = clock.now()
        if already_marked:
            previous = metadata.get("deletionGracePeriodSeconds", 0)
            if grace >= previous:  # a second deletion may only shorten the grace period
                if previous or finalizers == before:
                    return old
                return {**old, "metadata": kept}
            requested = clock.seconds_at(metadata["deletionTimestamp"]) - previous
        marked = {
            **kept,
            "deletionTimestamp": clock.timestamp(requested + grace),
            "deletionGracePeriodSeconds": grace,
        }
        if not already_marked and "generation" in metadata:
            marked["generation"] = metadata["generation"] + 1  # its controllers sync it again
        if kind.qualified_kind == "Namespace":
            status = {**(old.get("status") or {}), "phase": "Terminating"}
            return {**old, "metadata": marked, "status": status}
        return {**old, "metadata": marked}


def _grace_seconds(kind: Kind, old: Document, requested: int | None) -> int:
    """Return the seconds to stop in: 0 for all but pods that are bound and not finished."""
    if kind.qualified_kind != "Pod":
        return 0
    pod = cast("PodDict", old)
    if not node_of(pod) or is_finished(pod):
        return 0
    if requested is None:
        of_pod = old["spec"].get("terminationGracePeriodSeconds")
        requested = TERMINATION_GRACE_SECONDS if of_pod is None else int(of_pod)
    return 1 if requested < 0 else requested

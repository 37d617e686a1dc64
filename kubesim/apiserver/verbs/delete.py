"""The verb that deletes.

Deletion is graceful: a bound, running pod is only marked (deletionTimestamp), its kubelet stops it
and then deletes it for good. An object with finalizers stays, marked, until the last one is gone.
What happens to its dependents is said by two finalizers (propagation.py). A namespace carries a
finalizer of its own, ``kubernetes``: the namespace controller empties it, and then `finalize`s it.

Source: k8s.io/apiserver/pkg/registry/generic/registry/store.go (Delete),
pkg/registry/rest/delete.go (BeforeDelete), pkg/registry/core/pod/strategy.go
(CheckGracefulDelete).
"""

from __future__ import annotations

from kubesim.apiserver.base import NOT_ALLOWED, Base
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.verbs.propagation import check_policy, finalizers_after
from kubesim.apiserver.watching import at_revision, view_of
from kubesim.errors import BadRequest, Forbidden, MethodNotAllowed
from kubesim.objects import meta
from kubesim.objects.frozen import Document, freeze, thaw
from kubesim.objects.pods import is_finished, node_of
from kubesim.objects.wellknown import DEFAULT_NAMESPACE, TERMINATION_GRACE_SECONDS
from kubesim.store import KeyValue

IMMORTAL_NAMESPACES = ("default", "kube-public", "kube-system")


class DeleteVerbs(Base):
    """delete, and what becomes of marked objects."""

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
    ) -> Document:
        """Delete an object, gracefully where that means something; returns its last state.

        Args:
            kind, name, namespace: which object.
            grace_period_seconds: for pods: how long it may take to stop; 0: at once, and the
                object goes without asking its kubelet. None: what the pod says (30 s).
            uid, resource_version: only if the object still has these.
            propagation_policy: what becomes of the object's dependents: "Background" (it goes now,
                they follow), "Foreground" (they go first), "Orphan" (they stay); None: what the
                object's finalizers say, else the default of its kind.
            dry_run: say what would be, and change nothing.

        Raises:
            NotFound: no such object.
            Conflict: a precondition does not hold.
            Forbidden: the namespaces that must stay.
            Invalid: an unknown policy.
        """
        found = self.registry.find(kind)
        self._check_deletable(found, name, grace_period_seconds)
        check_policy(propagation_policy, found.kind, name)
        key = found.key(namespace or DEFAULT_NAMESPACE, name)
        while True:
            kv = self.store.get(key)
            if kv is None:
                raise self.not_found(found, name, namespace)
            self._check_preconditions(found, kv, uid, resource_version)
            marked = self._mark(found, kv.value, grace_period_seconds, propagation_policy)
            if dry_run or marked is kv.value:
                return thaw(view_of(kv))
            if marked is None:
                if self._remove(found, kv):
                    return thaw(view_of(kv))
                continue
            compare, put = [(key, kv.mod_revision)], [(key, freeze(marked))]
            done = self._commit(compare, put, before=kv.value, lease=kv.lease)
            if done.succeeded:
                return thaw(at_revision(marked, done.revision))

    def _check_deletable(self, kind: Kind, name: str, grace_seconds: int | None) -> None:
        if kind.read_only:
            raise MethodNotAllowed(NOT_ALLOWED)
        if grace_seconds is not None and type(grace_seconds) is not int:
            raise BadRequest(f"grace_period_seconds must be a whole number, not {grace_seconds!r}")
        if kind.kind == "Namespace" and name in IMMORTAL_NAMESPACES:
            said = f'namespaces "{name}" is forbidden: this namespace may not be deleted'
            raise Forbidden(said, kind=kind.plural, name=name)

    def _check_preconditions(
        self,
        kind: Kind,
        kv: KeyValue,
        uid: str | None,
        resource_version: str | int | None,
    ) -> None:
        name, is_uid = meta.name_of(kv.value), meta.uid_of(kv.value)
        if uid and uid != is_uid:
            why = (
                f"Precondition failed: UID in precondition: {uid}, UID in object meta: {is_uid}. "
                "The object might have been deleted and then recreated"
            )
            raise self.conflict(kind, name, why)
        wanted = str(resource_version or "0")
        if wanted not in ("0", str(kv.mod_revision)):
            raise self.conflict(kind, name)

    # -- marking -----------------------------------------------------------------------------------

    def _mark(
        self, kind: Kind, old: Document, grace_seconds: int | None, policy: str | None
    ) -> Document | None:
        """The object marked for deletion; itself if nothing is to change; None: remove it now."""
        metadata = old["metadata"]
        marked_before = "deletionTimestamp" in metadata
        grace = self._grace(kind, old, grace_seconds)
        before = list(metadata.get("finalizers") or ())
        finalizers = finalizers_after(before, policy, kind.propagation)
        agreeing = [*finalizers, *self._own_finalizers(kind, old)]
        if grace == 0 and not agreeing:
            return None
        changes = {"finalizers": finalizers} if finalizers != before else {}
        requested = self.clock.now()
        if marked_before:
            had = metadata.get("deletionGracePeriodSeconds", 0)
            if grace >= had:  # a second deletion may only shorten the time
                if had or not changes:
                    return old
                return {**old, "metadata": {**metadata, **changes}}
            requested = self.clock.seconds_at(metadata["deletionTimestamp"]) - had
        marked = {
            **metadata,
            **changes,
            "deletionTimestamp": self.clock.timestamp(requested + grace),
            "deletionGracePeriodSeconds": grace,
        }
        if not marked_before and "generation" in metadata:
            marked["generation"] = metadata["generation"] + 1  # its controllers look again
        if kind.kind == "Namespace":
            status = {**(old.get("status") or {}), "phase": "Terminating"}
            return {**old, "metadata": marked, "status": status}
        return {**old, "metadata": marked}

    @staticmethod
    def _grace(kind: Kind, old: Document, grace_seconds: int | None) -> int:
        """Seconds to stop in: 0 for all but pods, and for pods that are not bound or finished."""
        if kind.kind != "Pod" or not node_of(old) or is_finished(old):
            return 0
        if grace_seconds is None:
            said = old["spec"].get("terminationGracePeriodSeconds")
            grace_seconds = TERMINATION_GRACE_SECONDS if said is None else int(said)
        return 1 if grace_seconds < 0 else grace_seconds

    @staticmethod
    def _own_finalizers(kind: Kind, document: Document) -> list[str]:
        """spec.finalizers: only namespaces have them."""
        if kind.kind != "Namespace":
            return []
        return list((document.get("spec") or {}).get("finalizers") or ())

    def _is_over(self, kind: Kind, document: Document) -> bool:
        """Marked, nobody has to agree any more, and no kubelet is still stopping it."""
        metadata = document["metadata"]
        if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
            return False
        if self._own_finalizers(kind, document):
            return False
        return not metadata.get("deletionGracePeriodSeconds")

    def _remove(self, kind: Kind, kv: KeyValue) -> bool:
        """Delete an object for good; False if somebody changed it in between."""
        done = self._commit([(kv.key, kv.mod_revision)], deletes=[kv.key], before=kv.value)
        if not done.succeeded:
            return False
        self._deleted(kind, kv.value)
        return True

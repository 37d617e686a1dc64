"""create_pod, delete_pod, list_pods, get_pod: the original simulator's four methods.

No counterpart in Kubernetes, where all of it is done with the generic verbs.
"""

from __future__ import annotations

from math import isfinite

from kubesim.apiserver.seed import Record, SeedView, bare_pod
from kubesim.apiserver.verbs.apply import ApplyVerb
from kubesim.apiserver.verbs.collection import CollectionVerb
from kubesim.errors import AlreadyExists, BadRequest, NotFound, Timeout
from kubesim.objects import meta
from kubesim.store import Watch

DELETE_PATIENCE_SECONDS = 5.0  # beyond the grace period
WAIT_SECONDS = 0.5  # wall time of one wait, so that a change of speed or a pause is noticed


class SeedVerbs(CollectionVerb, ApplyVerb):
    """The original's four."""

    seed: SeedView

    def create_pod(
        self, name: str, *, run_seconds: float | None = None, exit_code: int = 0
    ) -> Record:
        """Make a bare pod in the namespace ``default``; returns its record.

        Args:
            name: a DNS-1123 name.
            run_seconds: end by itself after so many seconds of running; None: run until deleted.
            exit_code: with which code it then ends: 0 is Succeeded, else Failed.

        Raises:
            BadRequest: "Invalid pod name"; or a time or code that makes no sense.
            AlreadyExists: the name is taken; the message says so.
        """
        if not meta.valid_dns1123_subdomain(name):
            raise BadRequest("Invalid pod name")
        if run_seconds is not None and not (
            type(run_seconds) in (int, float) and isfinite(run_seconds) and run_seconds >= 0
        ):
            raise BadRequest(f"run_seconds must be a number of seconds, not {run_seconds!r}")
        if type(exit_code) is not int or not 0 <= exit_code <= 255:
            raise BadRequest(f"exit_code must be a whole number from 0 to 255, not {exit_code!r}")
        try:
            pod = self.create(bare_pod(name, run_seconds, exit_code))
        except AlreadyExists as error:
            said = f'a pod named "{name}" already exists'
            raise AlreadyExists(said, kind="pods", name=name) from error
        return self.get_pod(meta.uid_of(pod))

    def get_pod(self, id: str) -> Record:
        """One pod's record.

        Raises:
            NotFound: "Pod not found".
        """
        return self.seed.get(id)

    def list_pods(self) -> list[Record]:
        """The records of all pods: pending, running and completed."""
        return self.seed.records()

    def delete_pod(self, id: str) -> None:
        """Stop a pod gracefully; returns when it has stopped and is gone from the store.

        Its last state was Succeeded, which the log and every watch show. Called by a component, it
        does not wait, since no component ever does.

        Raises:
            NotFound: "Pod not found".
            Timeout: the pod has not gone within its grace period and 5 s more, for example because
                its node is dead or time stands still. It stays marked.
        """
        kv = self.seed.find(id)
        namespace, name = meta.namespace_of(kv.value), meta.name_of(kv.value)
        # Watched from before the deletion, so that no step of it can be missed.
        watch = self.store.watch(kv.key)
        try:
            marked = self.delete("Pod", name, namespace, uid=id)
            if self.clock.inside_worker():
                return
            grace = float(marked["metadata"].get("deletionGracePeriodSeconds") or 0)
            if not self._wait_until_gone(watch, kv.create_revision, grace):
                raise Timeout(
                    f"pod {name} did not stop within {grace:g} s and "
                    f"{DELETE_PATIENCE_SECONDS:g} s more; it is still marked for deletion",
                    hint="is its node alive, and does time run?",
                    kind="pods",
                    name=name,
                )
        except NotFound as error:
            raise NotFound("Pod not found", kind="pods", name=id) from error
        finally:
            watch.close()

    def _wait_until_gone(self, watch: Watch, created: int, grace_seconds: float) -> bool:
        """Let time pass until this life of the pod is over; False if it takes too long."""

        def gone() -> bool:
            kv = self.store.get(watch.prefix)
            return kv is None or kv.create_revision != created

        patience = grace_seconds + DELETE_PATIENCE_SECONDS
        if self.clock.virtual:
            return self.clock.wait_until(gone, patience)
        # Live: woken by each change of the pod. Time may stand still, so the waits that saw
        # nothing are counted, too.
        end, wall_left = self.clock.now() + patience, patience / self.clock.speed
        while not gone():
            if self.clock.now() >= end or wall_left <= 0:
                return False
            if not watch.wait(WAIT_SECONDS):
                wall_left -= WAIT_SECONDS
            watch.poll()
        return True

"""The original simulator's pods: their records, and create_pod, delete_pod, list_pods, get_pod.

A record is a projection of the real object. `kubesim.simple.records` keeps those of a cluster.

No counterpart in Kubernetes, where all of this is done with the generic verbs.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Protocol, TypedDict

from kubesim.clock.base import Clock
from kubesim.errors import AlreadyExists, BadRequest, NotFound, Timeout
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import DEFAULT_NAMESPACE, EXIT_CODE, RUN_SECONDS
from kubesim.quantity import MEGABYTE
from kubesim.store import KeyValue, Sample, Store, Watch

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerDict, ObjectMetaDict, PodDict, PodSpecDict

DELETE_PATIENCE_SECONDS = 5.0  # beyond the grace period
LEAST_WALL_SECONDS = 10.0  # of patience on a clock that runs fast
WAIT_SECONDS = 0.5  # wall time of one wait, so that a change of speed or a pause is noticed


class PodRecord(TypedDict):
    """A pod as the original simulator showed it."""

    id: str
    name: str
    status: str
    cpu: int
    memory: int
    logs: list[str]
    namespace: str
    node: str


def bare_pod(name: str, run_seconds: float | None = None, exit_code: int = 0) -> PodDict:
    """Return the manifest of a pod without a controller.

    Args:
        name: of the pod.
        run_seconds: the pod ends by itself after so many seconds; None: it runs until deleted.
        exit_code: of its container, if it ends by itself.
    """
    container: ContainerDict = {
        "name": "main",
        "image": "kubesim/pod",
        "resources": {"requests": {"cpu": "200m", "memory": "128Mi"}},
    }
    metadata: ObjectMetaDict = {"name": name, "namespace": DEFAULT_NAMESPACE}
    spec: PodSpecDict = {"containers": [container]}
    if run_seconds is not None:
        spec["restartPolicy"] = "Never"
        metadata["annotations"] = {RUN_SECONDS: str(run_seconds), EXIT_CODE: str(exit_code)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def record_of(pod: PodDict, sample: Sample | None, lines: list[str]) -> PodRecord:
    """Return the record of a pod.

    Args:
        pod: as it is stored.
        sample: its newest usage sample, or None.
        lines: the newest lines of its log.
    """
    metadata, phase = pod["metadata"], (pod.get("status") or {}).get("phase") or "Pending"
    # A pod that does not run uses nothing, although its last sample may still exist.
    containers = sample[2] if sample is not None and phase == "Running" else ()
    return {
        "id": metadata["uid"],
        "name": metadata["name"],
        "status": phase,
        "cpu": sum([item[1] for item in containers]),
        "memory": sum([item[2] for item in containers]) // MEGABYTE,
        "logs": lines,
        "namespace": metadata["namespace"],
        "node": pod["spec"].get("nodeName") or "",
    }


class PodIndex(Protocol):
    """The pod records of a cluster by id."""

    def find(self, id: str) -> KeyValue:
        """Return the stored pod of an id."""

    def get(self, id: str) -> PodRecord:
        """Return the record of an id."""

    def records(self) -> list[PodRecord]:
        """Return all records, by namespace and name."""


class Creator(Protocol):
    """The API server's verb that creates."""

    def create(self, document: PodDict, /) -> PodDict:
        """Create an object; return it as it was stored."""


class Remover(Protocol):
    """The API server's verb that deletes."""

    def delete(
        self, kind: str, name: str, namespace: str | None = None, /, *, uid: str | None = None
    ) -> Document:
        """Delete an object; return its last state."""


class SimplePods:
    """The original simulator's four methods.

    Args:
        store: has the pods.
        clock: to wait on.
        records: the pod records.
        creator, remover: the API server's verbs.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        records: PodIndex,
        creator: Creator,
        remover: Remover,
    ) -> None:
        self._store = store
        self._clock = clock
        self._records = records
        self._creator = creator
        self._remover = remover

    def create_pod(
        self, name: str, *, run_seconds: float | None = None, exit_code: int = 0
    ) -> PodRecord:
        """Create a bare pod in the namespace ``default``; return its record.

        Args:
            name: a DNS-1123 name.
            run_seconds: the pod ends by itself after so many seconds of running; None: it runs
                until it is deleted.
            exit_code: with which it then ends: 0 is Succeeded, others are Failed.

        Raises:
            BadRequest: "Invalid pod name"; or an invalid time or exit code.
            AlreadyExists: the name is taken; the message says so.
        """
        if not isinstance(name, str) or not meta.SUBDOMAIN.fullmatch(name):
            raise BadRequest("Invalid pod name")
        if run_seconds is not None and not (
            type(run_seconds) in (int, float) and isfinite(run_seconds) and run_seconds >= 0
        ):
            raise BadRequest(f"run_seconds must be a number of seconds, not {run_seconds!r}")
        if type(exit_code) is not int or not 0 <= exit_code <= 255:
            raise BadRequest(f"exit_code must be a whole number from 0 to 255, not {exit_code!r}")
        try:
            pod = self._creator.create(bare_pod(name, run_seconds, exit_code))
        except AlreadyExists as error:
            message = f'a pod named "{name}" already exists'
            raise AlreadyExists(message, kind="pods", name=name) from error
        return record_of(pod, None, [])  # it is not bound yet: there is no usage and no log

    def get_pod(self, id: str) -> PodRecord:
        """Return one pod's record.

        Raises:
            NotFound: "Pod not found".
        """
        return self._records.get(id)

    def list_pods(self) -> list[PodRecord]:
        """Return the records of all pods: pending, running and completed."""
        return self._records.records()

    def delete_pod(self, id: str) -> None:
        """Stop a pod gracefully; return when it has stopped and is removed from the store.

        Its last state was Succeeded, which the log and every watch show. Called by a component,
        this does not wait, since components never do.

        Raises:
            NotFound: "Pod not found".
            Timeout: the pod was not removed within its grace period and 5 s more, for example
                because its node is down or the clock is paused. It stays marked.
        """
        kv = self._records.find(id)
        namespace, name = meta.namespace_of(kv.value), meta.name_of(kv.value)
        # Watched from before the deletion, so that no step of it can be missed.
        watch = self._store.watch(kv.key)
        try:
            marked = self._remover.delete("Pod", name, namespace, uid=id)
            if self._clock.inside_worker():
                return
            grace = float(marked["metadata"].get("deletionGracePeriodSeconds") or 0)
            if not self._wait_until_removed(watch, kv.create_revision, grace):
                raise Timeout(
                    f"pod {name} did not stop within {grace:g} s and "
                    f"{DELETE_PATIENCE_SECONDS:g} s more; it is still marked for deletion",
                    hint="check that its node is ready and that the clock advances",
                    kind="pods",
                    name=name,
                )
        except NotFound as error:
            raise NotFound("Pod not found", kind="pods", name=id) from error
        finally:
            watch.close()

    def _wait_until_removed(self, watch: Watch, created: int, grace_seconds: float) -> bool:
        """Let time pass until the pod is removed; return False if that takes too long.

        Args:
            watch: of the pod's key.
            created: the create_revision of the pod.
            grace_seconds: its grace period.
        """
        clock = self._clock

        def removed() -> bool:
            kv = self._store.get(watch.prefix)
            return kv is None or kv.create_revision != created

        patience = grace_seconds + DELETE_PATIENCE_SECONDS
        if clock.virtual:
            return clock.wait_until(removed, patience)
        # Live: woken by each change of the pod. The clock may be paused, so the waits that
        # returned nothing are counted, too; it may be so fast that a busy machine needs longer.
        patience = max(patience, LEAST_WALL_SECONDS * clock.speed)
        end, wall_left = clock.now() + patience, patience / clock.speed
        while not removed():
            if clock.now() >= end or wall_left <= 0:
                return False
            if not watch.wait(WAIT_SECONDS):
                wall_left -= WAIT_SECONDS
            watch.poll()
        return True

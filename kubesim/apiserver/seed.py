"""The original simulator's world: pod records, as a projection of the real objects.

A record is ``{id, name, status, cpu, memory, logs}``: id is metadata.uid, status the phase, cpu in
millicores and memory in MB (10^6 bytes) from the newest sample, logs the newest lines. `namespace`
and `node` follow.

`curl` asks for these records thousands of times a second, so the JSON of a record is kept until its
pod or its sample changes, and the JSON of the whole list until the store changes.

No counterpart in Kubernetes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kubesim.apiserver.metrics import sample_key
from kubesim.apiserver.reading import ReadVerbs
from kubesim.apiserver.subresources import Subresources
from kubesim.apiserver.watching import view_of
from kubesim.apiserver.writing import WriteVerbs
from kubesim.errors import AlreadyExists, BadRequest, NotFound
from kubesim.objects import meta
from kubesim.objects.annotations import EXIT_CODE, RUN_SECONDS
from kubesim.objects.frozen import Document
from kubesim.objects.pods import phase_of
from kubesim.store import KeyValue, Sample

if TYPE_CHECKING:
    from kubesim.apiserver.kubeapi import KubeAPI

Record = dict[str, Any]
LOG_LINES = 10  # newest lines in a record; `pod_logs` has all that are kept
MEGABYTE = 1_000_000
DELETE_PATIENCE_SECONDS = 5.0  # beyond the grace period
POLL_SECONDS = 0.5
_encode = json.JSONEncoder(separators=(", ", ": "), ensure_ascii=False).encode


def bare_pod(name: str, run_seconds: float | None = None, exit_code: int = 0) -> Document:
    """The manifest of a pod that nobody controls."""
    spec: Document = {
        "containers": [
            {
                "name": "main",
                "image": "kubesim/pod",
                "resources": {"requests": {"cpu": "200m", "memory": "128Mi"}},
            }
        ]
    }
    metadata: Document = {"name": name, "namespace": "default"}
    if run_seconds is not None:
        spec["restartPolicy"] = "Never"
        metadata["annotations"] = {
            RUN_SECONDS: str(run_seconds),
            EXIT_CODE: str(exit_code),
        }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


class SeedView:
    """Pod records and their cached JSON. Any thread may read; the caches are only shortcuts."""

    def __init__(self, api: KubeAPI) -> None:
        self._api = api
        self._prefix = api.registry.find("Pod").prefix
        self._places: dict[str, tuple[str, str]] = {}  # uid -> keys of the pod and its samples
        self._cached: dict[str, tuple[KeyValue, Sample | None, bytes]] = {}
        self._list: tuple[int, bytes] = (-1, b"")

    def remember(self, pod: Document) -> None:
        """A pod was created."""
        namespace, name = meta.namespace_of(pod), meta.name_of(pod)
        keys = (f"{self._prefix}{namespace}/{name}", sample_key(namespace, name))
        self._places[meta.uid_of(pod)] = keys

    def forget(self, pod: Document) -> None:
        """A pod is gone for good."""
        self._places.pop(meta.uid_of(pod), None)
        self._cached.pop(meta.uid_of(pod), None)

    def find(self, id: str) -> KeyValue:
        """The stored pod of an id.

        Raises:
            NotFound: there is none (any more).
        """
        keys = self._places.get(id)
        kv = self._api.store.get(keys[0]) if keys is not None else None
        if kv is None:
            raise NotFound("Pod not found")
        return kv

    def record(self, kv: KeyValue, sample: Sample | None) -> Record:
        """The record of a stored pod."""
        pod = kv.value
        containers = sample[2] if sample is not None else ()
        running = phase_of(pod) == "Running"
        lines = self._api.log_lines(pod)[-LOG_LINES:]
        return {
            "id": pod["metadata"]["uid"],
            "name": pod["metadata"]["name"],
            "status": phase_of(pod),
            "cpu": sum(item[1] for item in containers) if running else 0,
            "memory": sum(item[2] for item in containers) // MEGABYTE if running else 0,
            "logs": [line for _, line in lines],
            "namespace": pod["metadata"]["namespace"],
            "node": pod["spec"].get("nodeName", ""),
        }

    def get_bytes(self, id: str) -> bytes:
        """One record as JSON.

        Raises:
            NotFound: there is no such pod.
        """
        keys = self._places.get(id)
        kv = self._api.store.get(keys[0]) if keys is not None else None
        if keys is None or kv is None:
            raise NotFound("Pod not found")
        return self._bytes(id, kv, self._api.store.sample(keys[1]))

    def list_bytes(self) -> bytes:
        """All records as a JSON list, by name."""
        store = self._api.store
        revision, cached = self._list
        if revision == store.revision:
            return cached
        result = store.list(self._prefix)
        parts = []
        for kv in result.items:
            metadata = kv.value["metadata"]
            key = sample_key(metadata["namespace"], metadata["name"])
            parts.append(self._bytes(metadata["uid"], kv, store.sample(key)))
        body = b"[" + b", ".join(parts) + b"]"
        self._list = (result.revision, body)
        return body

    def records(self) -> list[Record]:
        """All records, by name."""
        store = self._api.store
        found = []
        for kv in store.list(self._prefix).items:
            metadata = kv.value["metadata"]
            sample = store.sample(sample_key(metadata["namespace"], metadata["name"]))
            found.append(self.record(kv, sample))
        return found

    def _bytes(self, id: str, kv: KeyValue, sample: Sample | None) -> bytes:
        cached = self._cached.get(id)
        if cached is not None and cached[0] is kv and cached[1] is sample:
            return cached[2]
        body = _encode(self.record(kv, sample)).encode()
        self._cached[id] = (kv, sample, body)
        return body


class SeedVerbs(ReadVerbs, WriteVerbs, Subresources):
    """create_pod, delete_pod, list_pods, get_pod: the original's four."""

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
            BadRequest: "Invalid pod name".
            AlreadyExists: the name is taken; the message says so.
        """
        if not meta.valid_dns1123_subdomain(name):
            raise BadRequest("Invalid pod name")
        try:
            pod = self.create(bare_pod(name, run_seconds, exit_code))
        except AlreadyExists as error:
            raise AlreadyExists(f'a pod named "{name}" already exists', name=name) from error
        return self.get_pod(meta.uid_of(pod))

    def get_pod(self, id: str) -> Record:
        """One pod's record.

        Raises:
            NotFound: "Pod not found".
        """
        kv = self.seed.find(id)
        metadata = kv.value["metadata"]
        return self.seed.record(kv, self.sample(metadata["namespace"], metadata["name"]))

    def list_pods(self) -> list[Record]:
        """The records of all pods: pending, running and completed."""
        return self.seed.records()

    def delete_pod(self, id: str) -> None:
        """Stop a pod gracefully; returns when it has stopped and is gone from the store.

        Its last state was Succeeded, which the log and every watch show. Called by a component, it
        does not wait, since no component ever does.

        Raises:
            NotFound: "Pod not found".
        """
        pod = view_of(self.seed.find(id))
        namespace, name = meta.namespace_of(pod), meta.name_of(pod)
        watch = self.watch("Pod", namespace, field_selector=f"metadata.name={name}")
        try:
            marked = self.delete("Pod", name, namespace, uid=id)
            if self.clock.inside_worker():
                return
            grace = float(marked["metadata"].get("deletionGracePeriodSeconds", 0))
            patience = grace + DELETE_PATIENCE_SECONDS

            def gone() -> bool:
                return self._current_uid(namespace, name) != id

            if self.clock.virtual:
                self.clock.wait_until(gone, patience)
                return
            end = self.clock.now() + patience
            while not gone() and self.clock.now() < end and not self.clock.paused:
                watch.wait(POLL_SECONDS)
                watch.poll()
        except NotFound as error:
            raise NotFound("Pod not found") from error
        finally:
            watch.close()

    def _current_uid(self, namespace: str, name: str) -> str:
        kv = self.store.get(self.registry.find("Pod").key(namespace, name))
        return "" if kv is None else meta.uid_of(kv.value)

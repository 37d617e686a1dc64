"""Binding, scale, usage samples and logs: the narrow doors beside the object itself.

Source: pkg/registry/core/pod/storage (BindingREST, LogREST), pkg/registry/apps/statefulset/storage
(ScaleREST), k8s.io/metrics.
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.apiserver.kinds.metrics import sample_key
from kubesim.apiserver.verbs.scaling import ScaleVerbs
from kubesim.errors import BadRequest, Cause, Conflict, Invalid
from kubesim.objects import meta
from kubesim.objects.conditions import set_condition
from kubesim.objects.frozen import Document, freeze
from kubesim.objects.pods import containers_of, node_of
from kubesim.objects.wellknown import DEFAULT_NAMESPACE
from kubesim.store import Sample
from kubesim.store.samples import SampleWriter

LogLines = list[tuple[float, str]]
LogSource = Callable[..., LogLines]
"""source(namespace, pod, container) -> [(simulated second, line)], oldest first; with a fourth
argument True: the lines of the container's run before the present one."""


class Subresources(ScaleVerbs):
    """bind, metrics and logs; scale comes from `ScaleVerbs`."""

    _log_sources: dict[str, LogSource]

    # -- binding --------------------------------------------------------------------------------

    def bind(self, pod_name: str, namespace: str, node_name: str) -> None:
        """Give a pod its node: what a scheduler does at the end.

        Raises:
            Conflict: the pod has a node already, or is being deleted.
            Invalid: the node has no name.
            NotFound: no such pod.
        """
        kind = self.registry.find("Pod")
        key = kind.key(namespace or DEFAULT_NAMESPACE, pod_name)
        if not node_name or not isinstance(node_name, str):
            cause = Cause("target.name", "FieldValueRequired", "Required value")
            said = f'Binding "{pod_name}" is invalid: target.name: Required value'
            raise Invalid(said, kind="Binding", name=pod_name, causes=[cause])
        while True:
            kv = self.store.get(key)
            if kv is None:
                raise self.not_found(kind, pod_name, namespace)
            pod = kv.value
            _check_bindable(pod, pod_name)
            status = pod.get("status") or {}
            conditions = set_condition(
                status.get("conditions") or (), "PodScheduled", "True", now=self.clock.timestamp()
            )
            bound = {
                **pod,
                "spec": {**pod["spec"], "nodeName": node_name},
                "status": {**status, "conditions": conditions},
            }
            put = [(key, freeze(bound))]
            if self._commit([(key, kv.mod_revision)], put, before=pod).succeeded:
                return

    # -- usage samples --------------------------------------------------------------------------

    def metrics_writer(self, namespace: str, name: str) -> SampleWriter:
        """What a kubelet calls with each new sample of a pod.

        It takes (seconds, window_seconds, container, cpu_milli, memory_bytes), and the last three
        again for each further container.
        """
        # Called a million times a second on virtual time: nothing stands in between.
        return self.store.sample_writer(sample_key(namespace, name))

    def sample(self, namespace: str, name: str) -> Sample | None:
        """A pod's newest sample; None if there is none."""
        return self.store.sample(sample_key(namespace, name))

    def forget_metrics(self, namespace: str, name: str) -> None:
        """Drop a pod's samples, for example when it is gone."""
        self.store.delete(sample_key(namespace, name))

    # -- logs -----------------------------------------------------------------------------------

    def register_log_source(self, node_name: str, source: LogSource) -> None:
        """A kubelet says where the logs of its pods are read; the API server proxies to it."""
        self._log_sources[node_name] = source

    def node_log(self, node_name: str) -> LogLines:
        """The kept lines of a node's kubelet with their simulated seconds."""
        source = self._log_sources.get(node_name)
        return source("", "", None) if source is not None else []

    def log_lines(
        self, pod: Document, container: str | None = None, *, previous: bool = False
    ) -> LogLines:
        """The kept log lines of a pod with their simulated seconds; [] before it has a node.

        Raises:
            BadRequest: `previous`, and there was no earlier run.
        """
        source = self._log_sources.get(node_of(pod))
        if source is None:
            return []
        where = meta.namespace_of(pod), meta.name_of(pod), container
        return source(*where, True) if previous else source(*where)

    def pod_logs(
        self,
        name: str,
        namespace: str | None = None,
        *,
        container: str | None = None,
        tail_lines: int | None = None,
        previous: bool = False,
    ) -> list[str]:
        """A pod's log, oldest line first: `kubectl logs`.

        Args:
            name, namespace: which pod.
            container: which container; None will do if there is one alone.
            tail_lines: only the newest so many.
            previous: of the container's run before the present one.

        Raises:
            NotFound: no such pod.
            BadRequest: no such container, none named and there are several, or no earlier run.
            Invalid: a negative number of lines.
        """
        kind = self.registry.find("Pod")
        kv = self.store.get(kind.key(namespace or DEFAULT_NAMESPACE, name))
        if kv is None:
            raise self.not_found(kind, name, namespace)
        main = [str(item.get("name")) for item in containers_of(kv.value)]
        init = (kv.value.get("spec") or {}).get("initContainers") or ()
        known = main + [str(item.get("name")) for item in init]
        if container is None and len(main) > 1:
            raise BadRequest(
                f"a container name must be specified for pod {name}, choose one of: "
                f"[{' '.join(main)}]"
            )
        if container is not None and container not in known:
            raise BadRequest(
                f"container {container} is not valid for pod {name}",
                hint=f"its containers are: {', '.join(known)}",
            )
        if tail_lines is not None and tail_lines < 0:
            rule = f"Invalid value: {tail_lines}: must be greater than or equal to 0"
            cause = Cause("tailLines", "FieldValueInvalid", rule)
            said = f'PodLogOptions "{name}" is invalid: tailLines: {rule}'
            raise Invalid(said, kind="PodLogOptions", name=name, causes=[cause])
        if container is None and len(known) > 1:
            container = main[0]
        whose = main[0] if previous and container is None else container
        lines = [line for _, line in self.log_lines(kv.value, whose, previous=previous)]
        return lines if tail_lines is None else lines[len(lines) - min(tail_lines, len(lines)) :]


def _check_bindable(pod: Document, name: str) -> None:
    """A pod gets a node once in its life, and none at its end."""
    if node_of(pod):
        why = f'pod {name} is already assigned to node "{node_of(pod)}"'
    elif meta.is_terminating(pod):
        why = f"pod {name} is being deleted, cannot be assigned to a host"
    else:
        return
    said = f'Operation cannot be fulfilled on pods/binding "{name}": {why}'
    raise Conflict(said, kind="pods/binding", name=name)


__all__ = ["LogSource", "Subresources"]

"""Binding, usage samples, logs and exec: the subresources of pods.

Source: pkg/registry/core/pod/storage (BindingREST, LogREST), pkg/registry/core/pod/rest (ExecREST),
k8s.io/metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from kubesim.apiserver.core import Core
from kubesim.errors import BadRequest, Cause, Conflict, Invalid
from kubesim.objects import meta
from kubesim.objects.frozen import freeze
from kubesim.objects.meta import set_condition
from kubesim.objects.pods import all_containers, containers_of, node_of
from kubesim.objects.wellknown import DEFAULT_NAMESPACE
from kubesim.store import Sample, SampleWriter, sample_key

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

LogLines = list[tuple[float, str]]
LogSource = Callable[..., LogLines]
"""source(namespace, pod, container) -> [(simulated second, line)], oldest first; with a fourth
argument True: the lines of the container's previous run."""


class OutputChunk(NamedTuple):
    """A piece of a command's output.

    Attributes:
        second: since the command began.
        stream: 1 is stdout, 2 is stderr.
        text: the output; bytes that are not UTF-8 stand in it as in `kubesim.bytetext`.
    """

    second: float
    stream: int
    text: str


class CommandResult(NamedTuple):
    """The result of a command in a container.

    Attributes:
        chunks: its output, oldest first.
        code: its exit code.
        seconds: simulated seconds that it took.
    """

    chunks: tuple[OutputChunk, ...] = ()
    code: int = 0
    seconds: float = 0.0

    @property
    def stdout(self) -> str:
        """All that it wrote to stdout."""
        return "".join(chunk.text for chunk in self.chunks if chunk.stream == 1)

    @property
    def stderr(self) -> str:
        """All that it wrote to stderr."""
        return "".join(chunk.text for chunk in self.chunks if chunk.stream == 2)


CommandRunner = Callable[[str, str, str, Sequence[str], str], CommandResult]
"""runner(namespace, pod, container, command, stdin) runs a command in a container of a node."""


class PodOperations:
    """bind, usage samples, logs and exec.

    Args:
        core: of the server.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self._log_sources: dict[str, LogSource] = {}  # by node
        self._command_runners: dict[str, CommandRunner] = {}  # by node

    # -- binding ---------------------------------------------------------------------------------

    def bind(self, pod_name: str, namespace: str, node_name: str) -> None:
        """Assign a pod to a node, as a scheduler does.

        Args:
            pod_name: of the pod.
            namespace: of the pod; "": ``default``.
            node_name: of the node; it is not checked whether it exists.

        Raises:
            Conflict: the pod has a node already, or is being deleted.
            Invalid: the node has no name.
            NotFound: there is no such pod.
        """
        core, kind = self._core, self._core.registry.find("Pod")
        key = kind.key(namespace or DEFAULT_NAMESPACE, pod_name)
        if not node_name or not isinstance(node_name, str):
            cause = Cause("target.name", "FieldValueRequired", "Required value")
            message = f'Binding "{pod_name}" is invalid: target.name: Required value'
            raise Invalid(message, kind="Binding", name=pod_name, causes=[cause])
        while True:
            kv = core.store.get(key)
            if kv is None:
                raise core.not_found(kind, pod_name, namespace)
            pod = kv.value
            _check_bindable(pod, pod_name)
            status = pod.get("status") or {}
            conditions = set_condition(
                status.get("conditions") or (),
                "PodScheduled",
                "True",
                now=core.clock.timestamp(),
                generation=pod["metadata"].get("generation"),
            )
            bound = {
                **pod,
                "spec": {**pod["spec"], "nodeName": node_name},
                "status": {**status, "conditions": conditions},
            }
            put = [(key, freeze(bound))]
            if core.commit([(key, kv.mod_revision)], put, before=pod).succeeded:
                return

    # -- usage samples ---------------------------------------------------------------------------

    def metrics_writer(self, namespace: str, name: str) -> SampleWriter:
        """Return the function that a kubelet calls with each new sample of a pod.

        It takes (seconds, window_seconds, container, cpu_milli, memory_bytes), and the last three
        again for each further container.
        """
        # Called a million times a second on virtual time: no layer in between.
        return self._core.samples.sample_writer(sample_key(namespace, name))

    def sample(self, namespace: str, name: str) -> Sample | None:
        """Return a pod's newest sample, or None."""
        return self._core.samples.sample(sample_key(namespace, name))

    def forget_metrics(self, namespace: str, name: str) -> None:
        """Delete a pod's samples, for example after the pod was removed."""
        self._core.store.delete(sample_key(namespace, name))

    # -- logs ------------------------------------------------------------------------------------

    def register_log_source(self, node_name: str, source: LogSource) -> None:
        """Register the kubelet that serves the logs of a node's pods; the API server proxies to it.

        Args:
            node_name: of the node.
            source: returns log lines.
        """
        self._log_sources[node_name] = source

    def node_log(self, node_name: str) -> LogLines:
        """Return the kept lines of a node's kubelet with their simulated seconds."""
        source = self._log_sources.get(node_name)
        return source("", "", None) if source is not None else []

    def log_lines(
        self, pod: PodDict, container: str | None = None, *, previous: bool = False
    ) -> LogLines:
        """Return the kept log lines of a pod with their simulated seconds; [] before it is bound.

        Args:
            pod: the pod.
            container: None: the only one.
            previous: of the container's previous run.

        Raises:
            BadRequest: `previous`, and there was no previous run.
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
        """Return a pod's log, oldest line first: `kubectl logs`.

        Args:
            name: of the pod.
            namespace: None: ``default``.
            container: None: the only one.
            tail_lines: only so many of the newest lines; None: all.
            previous: of the container's previous run.

        Raises:
            NotFound: there is no such pod.
            BadRequest: there is no such container, none is named and the pod has several, or there
                was no previous run.
            Invalid: a negative number of lines.
        """
        core, kind = self._core, self._core.registry.find("Pod")
        kv = core.store.get(kind.key(namespace or DEFAULT_NAMESPACE, name))
        if kv is None:
            raise core.not_found(kind, name, namespace)
        pod = cast("PodDict", kv.value)
        container = _log_container(pod, container, previous)
        if tail_lines is not None and tail_lines < 0:
            rule = f"Invalid value: {tail_lines}: must be greater than or equal to 0"
            cause = Cause("tailLines", "FieldValueInvalid", rule)
            message = f'PodLogOptions "{name}" is invalid: tailLines: {rule}'
            raise Invalid(message, kind="PodLogOptions", name=name, causes=[cause])
        lines = [line for _, line in self.log_lines(pod, container, previous=previous)]
        return lines if tail_lines is None else lines[len(lines) - min(tail_lines, len(lines)) :]

    # -- exec ------------------------------------------------------------------------------------

    def register_command_runner(self, node_name: str, runner: CommandRunner) -> None:
        """Register the kubelet that runs commands in the pods of a node.

        Args:
            node_name: of the node.
            runner: runs one command.
        """
        self._command_runners[node_name] = runner

    def exec(
        self,
        name: str,
        command: Sequence[str],
        namespace: str | None = None,
        *,
        container: str | None = None,
        stdin: str = "",
    ) -> CommandResult:
        """Run a command in a container: `kubectl exec`. No simulated time passes.

        Args:
            name: of the pod.
            command: the program and its arguments.
            namespace: None: ``default``.
            container: None: the first one.
            stdin: what the command reads.

        Returns:
            Its output, exit code and duration; code 127 if the program is not simulated.

        Raises:
            NotFound: there is no such pod.
            BadRequest: the command is empty, there is no such container, or it does not run.
        """
        core, kind = self._core, self._core.registry.find("Pod")
        kv = core.store.get(kind.key(namespace or DEFAULT_NAMESPACE, name))
        if kv is None:
            raise core.not_found(kind, name, namespace)
        pod = kv.value
        words = [] if isinstance(command, str) else [str(word) for word in command]
        if not words or not words[0]:
            raise BadRequest(
                "you must specify at least one command for the container",
                hint='write, for example, ["sh", "-c", "echo hi"]',
            )
        container = container or str(containers_of(pod)[0].get("name"))
        if container not in [str(each.get("name")) for each in all_containers(pod)]:
            raise BadRequest(f"container {container[:60]} is not valid for pod {name}")
        runner = self._command_runners.get(node_of(pod))
        if runner is None or meta.is_terminating(pod):
            raise BadRequest(f"pod {name} does not have a host assigned")
        return runner(meta.namespace_of(pod), name, container, words, stdin)


def check_container(pod: PodDict, container: str | None) -> str:
    """Return the name of the container that a request is about: the pod's only one by default.

    Args:
        pod: the pod.
        container: its name in the request; None or "": not named.

    Raises:
        BadRequest: there is no such container, or none is named and the pod has several.

    Source: pkg/registry/core/pod/strategy.go (validateContainer).
    """
    name, main = meta.name_of(pod), containers_of(pod)
    spec = pod.get("spec") or {}
    names = [
        str(each.get("name"))
        for group in (spec.get("initContainers"), main, spec.get("ephemeralContainers"))
        for each in group or ()
    ]
    if container and container not in names:
        raise BadRequest(
            f"container {container[:60]} is not valid for pod {name}",
            hint=f"its containers are: {', '.join(names)}",
        )
    if not container and len(main) > 1:
        raise BadRequest(
            f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]"
        )
    return container or str(main[0].get("name"))


def _log_container(pod: PodDict, container: str | None, previous: bool) -> str | None:
    """Return the container whose log is read; None: the pod's only one, in its present run."""
    name = check_container(pod, container)
    if container or previous or len([*all_containers(pod)]) > 1:
        return name
    return None


def _check_bindable(pod: PodDict, name: str) -> None:
    """Refuse to bind a pod that has a node or is being deleted."""
    if node_of(pod):
        reason = f'pod {name} is already assigned to node "{node_of(pod)}"'
    elif meta.is_terminating(pod):
        reason = f"pod {name} is being deleted, cannot be assigned to a host"
    else:
        return
    message = f'Operation cannot be fulfilled on pods/binding "{name}": {reason}'
    raise Conflict(message, kind="pods/binding", name=name)

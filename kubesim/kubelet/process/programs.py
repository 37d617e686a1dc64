"""The programs of one pod: what its containers' commands, probes, hooks and `kubectl exec` run.

Source: pkg/kubelet/kubelet_pods.go (GenerateRunContainerOptions), pkg/kubelet/container/helpers.go
(ExpandContainerCommandAndArgs), pkg/kubelet/lifecycle/handlers.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from kubesim.apiserver.verbs.subresources import CommandResult, OutputChunk
from kubesim.clock.base import Clock
from kubesim.clock.streams import keyed_fraction
from kubesim.kubelet.process.environment import Sources, environment_of, expand, hostname_of
from kubesim.kubelet.process.volumes import TERMINATION_PATH, PodVolumes, file_system
from kubesim.kubelet.shell.process import start
from kubesim.kubelet.shell.programs import PROGRAMS
from kubesim.kubelet.shell.state import ContainerHost
from kubesim.kubelet.shell.steps import NOT_FOUND, STDERR, Output, Run, Sleep
from kubesim.objects import meta

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerDict


MAX_OUTPUT = 1 << 20  # characters of a command of a probe, a hook or `kubectl exec`
MOST_SECONDS = 3_600.0  # simulated, of such a command
KILL_EXIT_CODE = 137  # 128 + SIGKILL

Resolve = Callable[[str], Iterable[str]]


class PodPrograms:
    """Starts programs in the containers of one pod.

    Args:
        sources: returns where the values of variables come from, at this moment.
        clock: for `date`.
        resolve: DNS.
        volumes: of the pod.
    """

    def __init__(
        self,
        sources: Callable[[], Sources],
        clock: Clock,
        volumes: PodVolumes,
        resolve: Resolve = lambda _name: (),
    ) -> None:
        self._sources, self._clock, self._volumes, self._resolve = sources, clock, volumes, resolve
        self._hosts: dict[str, ContainerHost] = {}
        self._draws = 0

    def main(self, container: ContainerDict) -> Run | None:
        """Return the program of a container that starts now; None if it is not simulated.

        Args:
            container: an entry of the pod's spec.
        """
        command = [*(container.get("command") or ()), *(container.get("args") or ())]
        if not command:
            return None  # what its image runs is not known
        self._hosts.pop(str(container.get("name")), None)  # a new container has new files
        return self.command(container, command, expands=True)

    def command(
        self,
        container: ContainerDict,
        command: Sequence[object],
        stdin: str = "",
        *,
        expands: bool = False,
    ) -> Run | None:
        """Return a program that runs in a container; None if it is not simulated.

        Args:
            container: an entry of the pod's spec.
            command: the program and its arguments.
            stdin: what it reads.
            expands: whether it is the container's own command: ``$(NAME)`` is replaced, and other
                programs that it calls run as well.
        """
        sources = self._sources()
        variables = environment_of(container, sources)
        words = [expand(str(w), variables) if expands else str(w) for w in command]
        directory = str(container.get("workingDir") or "/")
        host = self._host(container, sources)
        return start(words, host, variables, directory, stdin, foreign=expands)

    def run(
        self, container: ContainerDict, command: Sequence[object], stdin: str = ""
    ) -> CommandResult | None:
        """Run a command to its end at once, as probes do; None if it is not simulated.

        Args:
            container: an entry of the pod's spec.
            command: the program and its arguments.
            stdin: what it reads.
        """
        run = self.command(container, command, stdin)
        return None if run is None else run_to_end(run)

    def termination_message(self, container: ContainerDict) -> str:
        """Return what a container has written to its terminationMessagePath."""
        host = self._hosts.get(str(container.get("name")))
        path = str(container.get("terminationMessagePath") or TERMINATION_PATH)
        if host is None or not host.files.is_file(path):
            return ""
        return host.files.read(path)

    def _host(self, container: ContainerDict, sources: Sources) -> ContainerHost:
        name = str(container.get("name"))
        if name not in self._hosts:
            self._hosts[name] = ContainerHost(
                hostname=hostname_of(sources.pod),
                files=file_system(container, sources, self._volumes),
                now=lambda: self._clock.epoch.timestamp() + self._clock.now(),
                random=self._random,
                resolve=self._resolve,
            )
        return self._hosts[name]

    def _random(self) -> int:
        self._draws += 1
        key = f"shell/{meta.uid_of(self._sources().pod)}/{self._draws}"
        return int(keyed_fraction(key) * 32_768)


def run_to_end(run: Run, most_seconds: float = MOST_SECONDS) -> CommandResult:
    """Run a program to its end without waiting for its pauses.

    Args:
        run: the program.
        most_seconds: it is killed after so many simulated seconds.
    """
    chunks: list[OutputChunk] = []
    size, seconds = 0, 0.0
    while size <= MAX_OUTPUT and seconds <= most_seconds:
        try:
            step = next(run)
        except StopIteration as end:
            return CommandResult(tuple(chunks), int(end.value), seconds)
        if isinstance(step, Output):
            size += len(step.text)
            chunks.append(OutputChunk(seconds, step.stream, step.text))
        elif isinstance(step, Sleep):
            seconds += step.seconds
    run.close()
    return CommandResult(tuple(chunks), KILL_EXIT_CODE, min(seconds, most_seconds))


def not_found(command: Sequence[str]) -> CommandResult:
    """Return the result of a command that is not simulated.

    Args:
        command: the program and its arguments.
    """
    commands = ", ".join(sorted({*PROGRAMS, "sh"}))
    message = f'"{command[0][:60]}": not found; available commands: {commands}\n'
    return CommandResult((OutputChunk(0.0, STDERR, message),), NOT_FOUND)

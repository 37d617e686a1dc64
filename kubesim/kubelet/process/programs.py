"""The programs of one pod: what its containers' commands, probes, hooks and `kubectl exec` run.

Source: pkg/kubelet/kubelet_pods.go (GenerateRunContainerOptions), pkg/kubelet/container/helpers.go
(ExpandContainerCommandAndArgs), pkg/kubelet/lifecycle/handlers.go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from kubesim.apiserver.verbs.subresources import CommandResult, OutputChunk
from kubesim.clock.base import Clock
from kubesim.clock.streams import keyed_fraction
from kubesim.kubelet.process.environment import (
    Sources,
    environment_of,
    expand,
    hostname_of,
    is_too_long,
    may_be_too_long,
)
from kubesim.kubelet.process.start import start
from kubesim.kubelet.process.volumes import (
    TERMINATION_PATH,
    PodVolumes,
    file_system,
    sub_path_error,
)
from kubesim.kubelet.shell.programs import PROGRAMS
from kubesim.kubelet.shell.state import ContainerHost
from kubesim.kubelet.shell.steps import NOT_FOUND, STDERR, Output, Run, Signals, Sleep
from kubesim.objects import meta

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerDict


MAX_OUTPUT = 1 << 20  # characters of a command of a probe, a hook or `kubectl exec`
MOST_SECONDS = 3_600.0  # simulated, of such a command
KILL_EXIT_CODE = 137  # 128 + SIGKILL
REFUSED_EXIT_CODE = 255  # of a container whose process cannot be executed
ENTRYPOINT = "/docker-entrypoint.sh"  # what an image runs, if no command is given

Resolve = Callable[[str], Iterable[str]]


class SkippedTime:
    """The seconds that a program has slept while nobody waited; its clock is ahead by them."""

    __slots__ = ("seconds",)

    def __init__(self) -> None:
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Skip some more seconds."""
        self.seconds += seconds


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
        self._signalled: Callable[[str, str], object] = lambda _container, _signal: None

    def main(self, container: ContainerDict) -> Run | None:
        """Return the program of a container that starts now; None if it is not simulated.

        Args:
            container: an entry of the pod's spec.
        """
        command = [*(container.get("command") or ()), *(container.get("args") or ())]
        if not command and not may_be_too_long(container):
            return None  # what its image runs is not known
        self._hosts.pop(str(container.get("name")), None)  # a new container has new files
        sources = self._sources()
        variables = environment_of(container, sources)
        words = [expand(str(word), variables) for word in command]
        if is_too_long(words, variables):
            return refused(words[0][:60] if words else ENTRYPOINT)
        return start(words, self._host(container, sources), variables, directory_of(container))

    def run(
        self, container: ContainerDict, command: Sequence[object], stdin: str = ""
    ) -> CommandResult | None:
        """Run a command to its end at once, as probes do; None if it is not simulated.

        Args:
            container: an entry of the pod's spec.
            command: the program and its arguments.
            stdin: what it reads.
        """
        sources, skipped = self._sources(), SkippedTime()
        host = self._host(container, sources)
        ahead = replace(host, now=lambda: host.now() + skipped.seconds)
        words, variables = [str(word) for word in command], environment_of(container, sources)
        run = start(words, ahead, variables, directory_of(container), stdin, foreign=False)
        return None if run is None else run_to_end(run, skipped)

    def handle_signals(self, signalled: Callable[[str, str], object]) -> None:
        """Call signalled(container, signal) for a signal to a program that is not simulated."""
        self._signalled = signalled

    def signals(self, container: ContainerDict) -> Signals:
        """Return the signals of a container's first process."""
        return self._host(container, self._sources()).signals

    def storage_used(self) -> tuple[dict[str, int], dict[str, int]]:
        """Return the bytes in emptyDirs by volume, and in other files by container."""
        own = {name: host.files.own_size for name, host in tuple(self._hosts.items())}
        return self._volumes.used(), own

    def sub_path_error(self, container: ContainerDict) -> str:
        """Return why the subPathExpr of a mount cannot be used; "": it can."""
        return sub_path_error(container, self._sources())

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
            self._hosts[name].signals.connect(default=partial(self._signalled, name))
        return self._hosts[name]

    def _random(self) -> int:
        self._draws += 1
        key = f"shell/{meta.uid_of(self._sources().pod)}/{self._draws}"
        return int(keyed_fraction(key) * 32_768)


def refused(program: str) -> Run:
    """Return what is left of a program that execve(2) refuses, E2BIG: a line of the log.

    Source: opencontainers/runc, libcontainer/standard_init_linux.go (Init), init.go.
    """
    yield Output(STDERR, f"exec {program}: argument list too long\n")
    return REFUSED_EXIT_CODE


def directory_of(container: ContainerDict) -> str:
    """Return the directory in which a container's programs start."""
    return str(container.get("workingDir") or "/")


def run_to_end(run: Run, skipped: SkippedTime | None = None) -> CommandResult:
    """Run a program to its end without waiting for its pauses.

    Args:
        run: the program; it is killed after MOST_SECONDS, or when it has printed too much.
        skipped: the time that its clock is ahead.
    """
    skipped = skipped or SkippedTime()
    chunks: list[OutputChunk] = []
    size = 0
    while size <= MAX_OUTPUT and skipped.seconds <= MOST_SECONDS:
        try:
            step = next(run)
        except StopIteration as end:
            return CommandResult(tuple(chunks), int(end.value), skipped.seconds)
        if isinstance(step, Output):
            size += len(step.text)
            chunks.append(OutputChunk(skipped.seconds, step.stream, step.text))
        elif isinstance(step, Sleep):
            skipped.add(step.seconds)
    run.close()
    return CommandResult(tuple(chunks), KILL_EXIT_CODE, min(skipped.seconds, MOST_SECONDS))


def not_found(command: Sequence[str]) -> CommandResult:
    """Return the result of a command that is not simulated.

    Args:
        command: the program and its arguments.
    """
    commands = ", ".join(sorted({*PROGRAMS, "sh"}))
    message = f'"{command[0][:60]}": not found; available commands: {commands}\n'
    return CommandResult((OutputChunk(0.0, STDERR, message),), NOT_FOUND)

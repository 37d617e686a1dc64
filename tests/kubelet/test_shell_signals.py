"""Traps and signals: what a container does when its pod is deleted, and inside of a shell."""

from __future__ import annotations

import pytest

from kubesim import Cluster
from kubesim.kubelet.process.programs import run_to_end
from kubesim.kubelet.process.start import start
from kubesim.kubelet.shell.files import FileSystem
from kubesim.kubelet.shell.state import ContainerHost

LOOP = "while true; do sleep 1; done"


def cluster_with(command: str, grace_seconds: int = 30) -> Cluster:
    """Return a cluster in which a pod runs a command, and may be watched while it ends."""
    cluster = Cluster(nodes=1, hpa=False)
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web", "finalizers": ["example.com/keep"]},
            "spec": {
                "terminationGracePeriodSeconds": grace_seconds,
                "containers": [
                    {"name": "main", "image": "busybox", "command": ["sh", "-c", command]}
                ],
            },
        }
    )
    cluster.sleep(10)
    return cluster


def deleted(cluster: Cluster, seconds: float) -> tuple[dict[str, object], str]:
    """Delete the pod; return its container's state some seconds later, and its log."""
    cluster.api.delete("Pod", "web")
    cluster.sleep(seconds)
    pod = cluster.api.get("Pod", "web")
    printed = "".join(f"{line}\n" for line in cluster.api.pod_logs("web"))
    return pod["status"]["containerStatuses"][0]["state"], printed


@pytest.mark.parametrize(
    ("command", "seconds", "code", "log"),
    [
        (f'trap "echo bye; exit 0" TERM; {LOOP}', 2, 0, "bye\n"),
        (f'trap "echo bye; exit 3" SIGTERM; {LOOP}', 2, 3, "bye\n"),
        (f'stop() {{ echo "in $1"; exit 4; }}; trap "stop x" 15; {LOOP}', 2, 4, "in x\n"),
        ('trap "echo bye; exit 0" TERM; sleep infinity & wait', 1, 0, "bye\n"),
        ("trap 'kill $!; exit 7' TERM; sleep 3600 & wait $!", 1, 7, ""),
        (f'trap "sleep 5; echo slow; exit 0" TERM; {LOOP}', 8, 0, "slow\n"),
        ("trap 'echo end' EXIT; trap 'exit 1' TERM; " + LOOP, 2, 1, "end\n"),
    ],
)
def test_a_trap_runs_when_the_pod_is_deleted(
    command: str, seconds: float, code: int, log: str
) -> None:
    """The command that runs ends first; then the trap, and the container with its exit code."""
    state, printed = deleted(cluster_with(command), seconds)
    assert state["terminated"]["exitCode"] == code  # type: ignore[index]
    assert printed == log


@pytest.mark.parametrize(
    "command",
    [f'trap "" TERM; {LOOP}', f'trap "echo no" TERM; {LOOP}', "trap 'exit 0' TERM; sleep infinity"],
)
def test_a_program_that_does_not_end_is_killed(command: str) -> None:
    """At the end of the grace period; a command in the foreground holds the trap up."""
    cluster = cluster_with(command, grace_seconds=20)
    state, _ = deleted(cluster, 19)
    assert "running" in state
    cluster.sleep(2)
    after = cluster.api.get("Pod", "web")["status"]["containerStatuses"][0]["state"]
    assert after["terminated"]["exitCode"] == 137


def test_a_shorter_grace_does_not_signal_twice() -> None:
    """The trap runs once."""
    cluster = cluster_with(f'trap "echo once" TERM; {LOOP}')
    cluster.api.delete("Pod", "web")
    cluster.sleep(5)
    cluster.api.delete("Pod", "web", grace_period_seconds=3)
    cluster.sleep(5)
    assert cluster.api.pod_logs("web") == ["once"]


def test_kill_in_exec_reaches_the_first_process() -> None:
    """Its trap runs and it is started again; without a trap, the kernel delivers nothing."""
    cluster = cluster_with(f'trap "exit 5" TERM; {LOOP}')
    assert cluster.api.exec("web", ["kill", "-TERM", "1"]).code == 0
    cluster.sleep(5)
    status = cluster.api.get("Pod", "web")["status"]["containerStatuses"][0]
    assert status["lastState"]["terminated"]["exitCode"] == 5
    assert status["restartCount"] == 1
    plain = cluster_with(LOOP)
    assert plain.api.exec("web", ["sh", "-c", "kill -9 1; kill -0 1"]).code == 0
    plain.sleep(5)
    assert plain.api.get("Pod", "web")["status"]["containerStatuses"][0]["restartCount"] == 0


def test_kill_ends_a_program_that_is_not_simulated() -> None:
    """Such as nginx, which handles SIGTERM: `kubectl exec web -- kill 1` restarts it."""
    cluster = Cluster(nodes=1, hpa=False)
    containers = [{"name": "main", "image": "nginx"}]
    cluster.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "web"},
            "spec": {"containers": containers},
        }
    )
    cluster.sleep(10)
    assert cluster.api.exec("web", ["kill", "1"]).code == 0
    cluster.sleep(5)
    status = cluster.api.get("Pod", "web")["status"]["containerStatuses"][0]
    assert status["lastState"]["terminated"]["exitCode"] == 0
    assert status["restartCount"] == 1


# (program, stdout, exit code), as dash printed them
PROGRAMS = [
    ("trap 'echo bye' EXIT; echo hi; exit 3", "hi\nbye\n", 3),
    ("trap 'exit 4' EXIT; true", "", 4),
    ("trap 'echo x' EXIT; (echo sub); trap - EXIT; echo end", "sub\nend\n", 0),
    ("(trap 'echo inner' EXIT; echo a); echo b", "a\ninner\nb\n", 0),
    ("set -e; trap 'echo cleanup $?' EXIT; false; echo no", "cleanup 1\n", 1),
    ("trap 'echo a' TERM; trap", "trap -- 'echo a' TERM\n", 0),
    ("trap x NOPE; echo $?", "1\n", 0),
    ("kill 999999 2>/dev/null; echo $?", "1\n", 0),
    ("sh -c 'echo $0 $1' name arg", "name arg\n", 0),
    ("f() { local x=2; x=3; g; }; g() { echo $x; }; x=1; f; echo $x", "3\n1\n", 0),
    ("f() { local n=$1; [ $n -gt 0 ] && f $((n-1)); echo $n; }; f 2", "0\n1\n2\n", 0),
    ("IFS=,; for x in a,b; do echo $x; done; v=a,b,,c; for x in $v; do echo \"<$x>\"; done",
     "a b\n<a>\n<b>\n<>\n<c>\n", 0),
    ("IFS=:; set -- a:b c; echo \"$*\"; v=:a:; for x in $v; do echo \"<$x>\"; done",
     "a:b:c\n<>\n<a>\n", 0),
    ("IFS=' :'; v='a : b  c'; for x in $v; do echo \"<$x>\"; done", "<a>\n<b>\n<c>\n", 0),
    ("IFS=; v='a b'; for x in $v; do echo \"<$x>\"; done", "<a b>\n", 0),
    ("IFS='\n'; for x in $(printf 'a b\\nc d\\n'); do echo \"<$x>\"; done", "<a b>\n<c d>\n", 0),
    ("echo a:b:c | { IFS=: read x y; echo $x/$y; }; echo \"$IFS\" | wc -c", "a/b:c\n4\n", 0),
    ("echo ' a  b  c ' | { read -r x y; echo \"[$x][$y]\"; }", "[a][b  c]\n", 0),
    ("echo a,,b | { IFS=, read x y z; echo \"[$x][$y][$z]\"; }", "[a][][b]\n", 0),
    ("echo '  a ' | { IFS= read -r x; echo \"[$x]\"; }", "[  a ]\n", 0),
    ("(exit 3) & wait $!; echo $?", "3\n", 0),
]  # fmt: skip


@pytest.mark.parametrize(("program", "stdout", "code"), PROGRAMS)
def test_a_shell_does_what_dash_does(program: str, stdout: str, code: int) -> None:
    """Traps at the end, `local`, IFS, `wait` for one job."""
    run = start(["sh", "-c", program], ContainerHost("w", FileSystem(), lambda: 0.0), {})
    assert run is not None
    result = run_to_end(run)
    assert (result.stdout, result.code) == (stdout, code), result.stderr


def test_let() -> None:
    """It evaluates, and fails for 0, as in bash."""
    run = start(
        ["bash", "-c", "let x=2+3 y=x*2; echo $x $y; let 0; echo $?"],
        ContainerHost("w", FileSystem(), lambda: 0.0),
        {},
    )
    assert run is not None
    assert run_to_end(run).stdout == "5 10\n1\n"

"""``python -m kubesim`` as a person runs it: a real process, real requests, real signals."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import kubesim
from kubesim.__main__ import main

pytestmark = pytest.mark.live


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def serving(*options: str) -> Iterator[tuple[subprocess.Popen[str], str, list[str]]]:
    """The server in a process of its own: (process, url, lines printed until it listened)."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "kubesim", "serve", "--port", str(port), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.rstrip())
            if "Ctrl-C" in line:
                break
        yield process, f"http://127.0.0.1:{port}", lines
    finally:
        process.kill()
        process.communicate()


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Wait for the end of the server: what it printed since it listened, and its errors.

    `communicate` alone reads past Python's own buffer: it would lose the lines that were read
    together with the last of the first ones.
    """
    assert process.stdout is not None
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    out = process.stdout.read()
    watchdog.cancel()
    return out, process.communicate(timeout=120)[1]


def ask(url: str, method: str = "GET", body: Any = None) -> tuple[int, Any]:
    """(status, JSON body) of one request."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method)
    try:
        with urllib.request.urlopen(request, timeout=20) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_the_readme_of_the_original_line_by_line() -> None:
    """Start-up lines, then each route with the body, the code and the error text it promises."""
    with serving("--speed", "20") as (_process, url, lines):
        assert lines[0] == "[INFO] EtcdStore: Initialized in-memory etcd-style store."
        assert any("curl" in line for line in lines)

        status, created = ask(f"{url}/api/pods", "POST", {"name": "my-new-pod"})
        assert (status, created["message"]) == (201, "Pod created")
        assert set(created) == {"message", "id"}
        assert ask(f"{url}/api/pods", "POST", {"name": ""}) == (400, {"error": "Invalid pod name"})
        assert ask(f"{url}/api/pods", "POST", {"name": "my-new-pod"})[0] == 409

        status, record = ask(f"{url}/api/pods/{created['id']}")
        assert status == 200
        assert list(record)[:6] == ["id", "name", "status", "cpu", "memory", "logs"]
        assert ask(f"{url}/api/pods/nope") == (404, {"error": "Pod not found"})
        status, records = ask(f"{url}/api/pods")
        assert status == 200
        assert created["id"] in [r["id"] for r in records]

        default = {"target_cpu": 70, "min_pods": 1, "max_pods": 10, "interval": "5s"}
        assert ask(f"{url}/api/hpa/config") == (200, default)
        wanted = {"target_cpu": 75, "min_pods": 2, "max_pods": 15, "interval": "10s"}
        assert ask(f"{url}/api/hpa/config", "POST", wanted) == (
            200,
            {"message": "HPA config updated", "config": wanted},
        )
        assert ask(f"{url}/api/hpa/config", "POST", {"interval": "soon"}) == (
            400,
            {"error": "Invalid interval format"},
        )
        status, nodes = ask(f"{url}/api/nodes")
        assert status == 200
        assert [n["status"] for n in nodes] == ["Ready"] * 3

        assert ask(f"{url}/api/pods/{created['id']}", "DELETE") == (
            200,
            {"message": "Pod deleted"},
        )
        assert ask(f"{url}/api/pods/{created['id']}") == (404, {"error": "Pod not found"})


def test_created_pods_are_printed_as_the_original_prints_them() -> None:
    """[INFO] KubeAPI: CreatedPod: ID=..., Name=auto-pod-0, then the pod starting."""
    with serving("--speed", "20") as (process, url, lines):
        process.send_signal(signal.SIGINT)
        out, err = finish(process)
        printed = "\n".join(lines) + out
        assert "[INFO] KubeAPI: CreatedPod: ID=" in printed
        assert ", Name=auto-pod-0" in printed
        assert err == ""
        assert url


def test_the_first_lines_are_those_of_the_original() -> None:
    """The store, the pod created, the pod starting; other kinds are not printed."""
    with serving("--speed", "20") as (process, url, lines):
        while not any(record["logs"] for record in ask(f"{url}/api/pods")[1]):
            pass  # it has not started yet
        process.send_signal(signal.SIGINT)
        out, _ = finish(process)
        printed = "\n".join(lines) + out
        printed_actions = re.findall(r"\[INFO\] (EtcdStore|KubeAPI|Pod): (\w+)", printed)
        assert printed_actions[:3] == [
            ("EtcdStore", "Initialized"),
            ("KubeAPI", "CreatedPod"),
            ("Pod", "PodStart"),
        ]
        assert re.search(r"KubeAPI: CreatedPod: ID=[0-9a-f-]{36}, Name=auto-pod-0", printed)
        assert "Pod: PodStart: Pod auto-pod-0 starting ..." in printed
        by_api = {action for component, action in printed_actions if component == "KubeAPI"}
        assert by_api <= {"CreatedPod", "DeletedPod"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly(number: signal.Signals) -> None:
    """Exit code 0, a last line, no traceback."""
    with serving() as (process, _url, _lines):
        process.send_signal(number)
        out, err = finish(process)
        assert process.returncode == 0
        assert "Stopped" in out
        assert err == ""


@pytest.mark.parametrize("attempt", range(3))
def test_three_signals_at_once_end_it(attempt: int) -> None:
    """Ctrl-C under make: SIGINT twice, then SIGTERM; the exit code stays 0."""
    with serving("--no-hpa", "--seed", str(attempt)) as (process, _url, _lines):
        for number in (signal.SIGINT, signal.SIGINT, signal.SIGTERM):
            process.send_signal(number)
        out, err = finish(process)
        assert (process.returncode, err) == (0, "")
        assert "Stopped" in out


def test_signals_are_noticed_whatever_the_shell_did(tmp_path: Path) -> None:
    """A shell starts background jobs with SIGINT ignored; the server handles it all the same."""
    port = free_port()
    command = f"{sys.executable} -m kubesim serve --no-hpa --port {port}"
    log = tmp_path / "log"
    shell = ["sh", "-c", f"trap '' INT; exec {command}"]
    with log.open("w") as out, subprocess.Popen(shell, stdout=out, stderr=out) as process:
        try:
            while "Ctrl-C" not in log.read_text():
                assert process.poll() is None, log.read_text()
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=120) == 0
        finally:
            process.kill()
    assert "Stopped" in log.read_text()


def test_the_command_line_restores_signal_handlers(capsys: pytest.CaptureFixture[str]) -> None:
    """Called from Python, `main` leaves the handlers of its caller as they were."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["serve", "--no-hpa", "--port", str(taken.getsockname()[1])]) == 1
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    assert "cannot listen" in capsys.readouterr().err


def test_a_port_in_use_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the port and another way; no traceback."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 1
    output = capsys.readouterr().err
    assert str(port) in output
    assert "--port" in output or "port=0" in output


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--token", "x"), "at least 8 characters"),
        ((), "can be reached from other machines"),
        (("--users", "none.json"), "No such file"),
    ],
)
def test_a_server_that_is_not_safe_boots_no_cluster(
    options: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error is all that is printed: no node has been brought up for it."""
    assert main(["serve", "--host", "0.0.0.0", *options]) == 1
    printed = capsys.readouterr()
    assert printed.out == "" and words in printed.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "--port", "70000"],
        ["serve", "--port", "x"],
        ["serve", "--nodes", "-1"],
        ["serve", "--speed", "0"],
        ["serve", "--speed", "nan"],
        ["run", "--duration", "soon"],
        ["fly"],
        [],
    ],
)
def test_bad_options_are_refused_with_a_sentence(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and a usage line."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_the_version_stands_once(capsys: pytest.CaptureFixture[str]) -> None:
    """What the command line and the package say is what the project file says."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())
    assert project["project"]["version"] == kubesim.__version__
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"kubesim {kubesim.__version__}\n"


def test_run_simulates_and_repeats_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """The same command twice prints the same, digest included."""
    command = ["run", "--duration", "10m", "--rate", "60", "--seed", "7"]
    assert main(command) == 0
    first = capsys.readouterr().out
    assert main(command) == 0
    assert capsys.readouterr().out == first
    assert "digest" in first
    assert "auto-pod-3" in first


def test_serve_says_how_kubectl_is_called_and_writes_its_file(tmp_path: Path) -> None:
    """By address; with a token by the file, which carries it; --read-only refuses writes."""
    with serving() as (_process, url, lines):
        assert any(f"kubectl --server {url} get pods" in line for line in lines)
        assert ask(f"{url}/api/v1/namespaces/default/pods")[1]["kind"] == "PodList"
    with serving("--token", "a-secret-token") as (_process, _url, lines):
        assert any("only over TLS: start with --tls --kubeconfig FILE" in line for line in lines)
    path = tmp_path / "kubesim.yaml"
    with serving("--kubeconfig", str(path), "--read-only") as (_process, url, lines):
        assert any(f"kubectl --kubeconfig {path} get pods" in line for line in lines)
        assert f'server: "{url}"' in path.read_text()
        refused = ask(f"{url}/api/v1/namespaces", "POST", {"metadata": {"name": "a"}})
        assert (refused[0], refused[1]["reason"]) == (403, "Forbidden")


def printed_kubeconfig(lines: list[str]) -> str:
    """The kubeconfig among the printed lines, as a user would copy it."""
    block = [line for line in lines if line.startswith("    ")]
    return dedent("\n".join(block)) + "\n"


@pytest.fixture
def saved(tmp_path: Path) -> Iterator[Path]:
    """What a server printed as its kubeconfig, in a file, while the server runs."""
    with serving("--no-hpa") as (_process, url, lines):
        assert ask(f"{url}/api/pods", "POST", {"name": "web"})[0] == 201
        path = tmp_path / "saved.yaml"
        path.write_text(printed_kubeconfig(lines))
        yield path


@pytest.mark.skipif(not shutil.which("kubectl"), reason="there is no kubectl in PATH")
def test_kubectl_lists_pods_with_the_kubeconfig_that_serve_prints(saved: Path) -> None:
    """Copied from the screen into a file, it is all that kubectl needs."""
    command = ["kubectl", "--kubeconfig", str(saved), "get", "pods", "-o", "name"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, "pod/web\n"), done.stderr


def test_the_official_client_lists_pods_with_the_kubeconfig_that_serve_prints(saved: Path) -> None:
    """The same file, read by the Python client."""
    kubernetes = pytest.importorskip("kubernetes")
    with kubernetes.config.new_client_from_config(str(saved)) as client:
        listed = kubernetes.client.CoreV1Api(client).list_namespaced_pod("default")
    assert [pod.metadata.name for pod in listed.items] == ["web"]


def test_the_commands_that_serve_prints_write_the_same_kubeconfig(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`python -m kubesim kubeconfig ... --out kubesim.yaml`, word for word, port included."""
    monkeypatch.chdir(tmp_path)
    with serving("--no-hpa") as (_process, _url, lines):
        words = next(line.split() for line in lines if "kubesim kubeconfig" in line)
        assert words[:3] == ["python", "-m", "kubesim"]
        assert main(words[3:]) == 0
        assert (tmp_path / "kubesim.yaml").read_text() == printed_kubeconfig(lines)
        assert "  kubectl --kubeconfig kubesim.yaml get pods" in lines


WITH_TLS = pytest.mark.skipif(not shutil.which("openssl"), reason="there is no program openssl")


@pytest.mark.parametrize(
    ("options", "command", "kubectl"),
    [
        (["--token", "hidden-word"], "kubesim kubeconfig --port", "start with --tls"),
        (["--users", "users.json"], "kubesim kubeconfig --port", "start with --tls"),
        pytest.param(
            ["--tls"],
            "kubesim serve --tls --kubeconfig",
            "kubectl --kubeconfig kubesim.yaml get pods",
            marks=WITH_TLS,
        ),
    ],
)
def test_serve_prints_no_secret(
    options: list[str],
    command: str,
    kubectl: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a token, users or TLS: how the file is written, and no part of a kubeconfig."""
    monkeypatch.chdir(tmp_path)
    ann = {"name": "ann", "token": "hidden-word-of-ann", "rules": []}
    Path("users.json").write_text(json.dumps({"users": [ann]}))
    with serving("--no-hpa", *options) as (_process, _url, lines):
        output = "\n".join(lines)
        assert command in output
        assert kubectl in output, "kubectl sends a token over TLS alone"
        assert "hidden" not in output
        assert "apiVersion" not in output


def test_the_command_for_a_server_with_a_token_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The printed command, with the token in its place, writes what the server would accept."""
    monkeypatch.chdir(tmp_path)
    with serving("--no-hpa", "--token", "hidden-word") as (_process, url, lines):
        words = next(line.split() for line in lines if "kubesim kubeconfig" in line)
        assert main(["hidden-word" if word == "TOKEN" else word for word in words[3:]]) == 0
    written = (tmp_path / "kubesim.yaml").read_text()
    assert f'server: "{url}"' in written
    assert 'token: "hidden-word"' in written

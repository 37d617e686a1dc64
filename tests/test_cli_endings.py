"""``python -m kubesim serve``: its log may fail, and Ctrl-C may come at any time."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.live
SERVE = [sys.executable, "-m", "kubesim", "serve", "--speed", "20"]


def wait_for_pods(port: int) -> str:
    """The pods as JSON, as soon as one of them runs."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/pods", timeout=20) as reply:
                pods = reply.read().decode()
        except OSError:
            pods = ""  # the port is not open yet
        if '"Running"' in pods:
            return pods
        time.sleep(0.05)
    raise AssertionError("no pod runs")


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_reader_that_goes_away_does_no_harm() -> None:
    """``serve | head -5``: one warning; the server serves, its pods run, and it ends cleanly."""
    port = free_port()
    command = [*SERVE, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        try:
            assert "auto-pod-0" in wait_for_pods(port)
            process.send_signal(signal.SIGTERM)
            error = process.communicate(timeout=60)[1].decode()
        finally:
            process.kill()
    assert process.returncode == 0, error
    assert error.count("the sink is switched off: it raised BrokenPipeError") == 1
    assert "Traceback" not in error
    assert "Exception ignored" not in error


def test_a_full_disk_behind_the_log_does_no_harm() -> None:
    """Nothing can be written from the first line on: the pods run all the same."""
    port = free_port()
    with Path("/dev/full").open("w") as full:
        command = [*SERVE, "--port", str(port)]
        process = subprocess.Popen(command, stdout=full, stderr=subprocess.PIPE)
    with process:
        try:
            assert "auto-pod-0" in wait_for_pods(port)
            process.send_signal(signal.SIGTERM)
            error = process.communicate(timeout=60)[1].decode()
        finally:
            process.kill()
    assert process.returncode == 0, error
    assert error.count("the sink is switched off: it raised OSError") == 1
    assert "Exception ignored" not in error


@pytest.mark.parametrize("module", ["kubesim.store", "kubesim.apiserver", "kubesim.kubelet"])
def test_ctrl_c_while_modules_are_loaded_ends_quietly(module: str) -> None:
    """No traceback, and the exit code of an interrupted program.

    Python reports each loaded module; the signal is sent when it reports this one.
    """
    command = [sys.executable, "-X", "importtime", "-m", "kubesim", "serve", "--port", "0"]
    # A background job of a shell ignores SIGINT, and what is ignored stays so in its children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        watchdog = threading.Timer(60, process.kill)
        watchdog.start()
        for line in process.stderr:
            if re.search(rf"\| +{re.escape(module)}$", line):
                break
        process.send_signal(signal.SIGINT)
        error = process.stderr.read()
        watchdog.cancel()
    assert "Traceback" not in error
    assert process.returncode == 130


def test_a_stopped_process_catches_up() -> None:
    """SIGSTOP for 100 simulated seconds, as when a laptop sleeps: no node fails, no pod ends."""
    port = free_port()
    command = [*SERVE, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            assert "auto-pod-0" in wait_for_pods(port)
            process.send_signal(signal.SIGSTOP)
            time.sleep(5)
            process.send_signal(signal.SIGCONT)
            time.sleep(3)  # more than the grace period of a node, and than the period of a lease
            nodes, pods = (fetch(port, f"/api/v1/{kind}")["items"] for kind in ("nodes", "pods"))
            log = fetch(port, "/api/logs?level=error")["rows"]
            process.send_signal(signal.SIGTERM)
            error = process.communicate(timeout=60)[1].decode()
        finally:
            process.kill()
    assert (process.returncode, error, log) == (0, "", [])
    conditions = [each for node in nodes for each in node["status"]["conditions"]]
    assert [each["status"] for each in conditions if each["type"] == "Ready"] == ["True"] * 3
    assert not any(node["spec"].get("taints") for node in nodes)
    statuses = [status for pod in pods for status in pod["status"].get("containerStatuses", ())]
    assert {status["restartCount"] for status in statuses} == {0}


def fetch(port: int, path: str) -> Any:
    """The JSON that the server answers."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=20) as reply:
        return json.load(reply)

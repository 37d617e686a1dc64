"""Test an operator or a client against a cluster of your own: fresh, fast, and on your clock.

    from kubesim.testing import Lab

    def test_it_scales():
        with Lab(nodes=2) as lab:
            apps = lab.client("AppsV1Api")              # the official Python client, configured
            apps.create_namespaced_deployment("default", {...})
            lab.advance(30)                             # thirty simulated seconds, at once
            assert apps.read_namespaced_deployment("web", "default").status.ready_replicas == 3

With pytest, one line in ``conftest.py`` makes it a fixture: ``lab = kubesim.testing.fixture()``.

Time stands still unless the test lets it pass: `advance` and `wait_until` for tests that act step
by step, `driven` for operators that run beside the test and wait for things to happen.

Counterpart: sigs.k8s.io/controller-runtime/pkg/envtest, which starts a real API server and etcd,
but no kubelet and no controllers; here pods run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

from kubesim.cluster import Cluster
from kubesim.errors import BadRequest

__all__ = ["Lab", "fixture"]

STEP_SECONDS = 0.5  # of simulated time that the driver lets pass at once
PACE = 20.0  # simulated seconds a second
SETTLE_SECONDS = 5.0  # until the nodes are Ready


class Lab:
    """A cluster on virtual time behind a real HTTP server.

    Args:
        settle: let so many simulated seconds pass first, so that the nodes are Ready.
        serve: options of the server: users, token, tls, read_only.
        options: of the `Cluster`: nodes, seed, hpa (here: without, unless you ask for it) ...

    Attributes:
        cluster: the cluster itself.
        server: its HTTP server.
        url: where it is: ``http://127.0.0.1:PORT``.
    """

    def __init__(
        self, *, settle: float = SETTLE_SECONDS, serve: dict[str, Any] | None = None, **options: Any
    ) -> None:
        if options.get("clock", "virtual") != "virtual":
            raise BadRequest("a Lab is on virtual time", hint='Cluster(clock="live") has threads')
        self.cluster = Cluster(**{"hpa": False, **options})
        self._lock = threading.Lock()  # time has one driver at a time: the test, or its helper
        self._folder = TemporaryDirectory(prefix="kubesim-")
        self.server = self.cluster.serve(**(serve or {}))
        self.url = self.server.url
        self._clients: list[Any] = []
        self.advance(settle)

    def advance(self, seconds: float) -> None:
        """Let simulated time pass, at once."""
        with self._lock:
            self.cluster.sleep(seconds)

    def wait_until(self, predicate: Callable[[], bool], timeout: float = 300.0) -> None:
        """Let simulated time pass until something holds.

        Args:
            predicate: called after each half second; it may use any client.
            timeout: simulated seconds.

        Raises:
            AssertionError: it did not hold in time.
        """
        end = self.cluster.clock.now() + timeout
        while not predicate():
            if self.cluster.clock.now() >= end:
                raise AssertionError(f"it does not hold after {timeout:g} simulated seconds")
            self.advance(STEP_SECONDS)

    @contextmanager
    def driven(self, pace: float = PACE) -> Iterator[Lab]:
        """Let time pass by itself meanwhile: for operators, and for clients that wait.

        Args:
            pace: simulated seconds a second.
        """
        ended = threading.Event()
        failures: list[BaseException] = []

        def drive() -> None:
            try:
                while not ended.wait(STEP_SECONDS / pace):
                    self.advance(STEP_SECONDS)
            except Exception as error:  # noqa: BLE001 - told to the test, which is elsewhere
                failures.append(error)

        thread = threading.Thread(target=drive, name="kubesim-driver", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            ended.set()
            thread.join()
        if failures:
            raise failures[0]

    def kubeconfig(self) -> Path:
        """A file for ``KUBECONFIG``; it goes with the lab."""
        path = Path(self._folder.name, "kubeconfig.yaml")
        self.server.kubeconfig(path)
        return path

    def client(self, api: str = "CoreV1Api") -> Any:
        """An API of the official Python client, ready to use.

        Args:
            api: its class: CoreV1Api, AppsV1Api, CustomObjectsApi ...

        Raises:
            ImportError: the package `kubernetes` is not installed.
        """
        try:
            kubernetes = import_module("kubernetes")
        except ImportError as error:
            raise ImportError("the official client is needed: pip install kubernetes") from error
        made = kubernetes.config.new_client_from_config(str(self.kubeconfig()))
        self._clients.append(made)
        return getattr(kubernetes.client, api)(made)

    def close(self) -> None:
        """End the server, the cluster and the clients; may be called twice."""
        for client in self._clients:
            client.close()
        self._clients.clear()
        self.cluster.close()
        self._folder.cleanup()

    def __enter__(self) -> Lab:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def fixture(scope: str = "function", **options: Any) -> Any:
    """A pytest fixture that gives a fresh `Lab`: ``lab = kubesim.testing.fixture(nodes=2)``.

    Args:
        scope: as pytest calls it.
        options: of the `Lab`.

    Raises:
        ImportError: the package `pytest` is not installed.
    """

    def lab() -> Iterator[Lab]:
        with Lab(**options) as made:
            yield made

    try:
        return import_module("pytest").fixture(scope=scope)(lab)
    except ImportError as error:
        raise ImportError("a fixture needs its runner: pip install pytest") from error

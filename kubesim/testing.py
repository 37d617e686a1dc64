"""Test operators and clients against a new cluster whose time the test controls.

    from kubesim.testing import Lab

    def test_it_scales():
        with Lab(nodes=2) as lab:
            apps = lab.client("AppsV1Api")              # the official Python client, configured
            apps.create_namespaced_deployment("default", {...})
            lab.advance(30)                             # thirty simulated seconds, at once
            assert apps.read_namespaced_deployment("web", "default").status.ready_replicas == 3

With pytest, one line in ``conftest.py`` makes it a fixture: ``lab = kubesim.testing.fixture()``.

Time passes only when the test lets it pass: with `advance` and `wait_until` in tests that act step
by step, with `driven` for operators that run in the background and wait for changes.

Counterpart: sigs.k8s.io/controller-runtime/pkg/envtest, which starts a real API server and etcd,
but no controllers and no kubelet; here pods run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Protocol

from kubesim.arguments import check_arguments, instance_of, optional
from kubesim.cluster import Cluster
from kubesim.errors import BadRequest

__all__ = ["Lab", "fixture"]

STEP_SECONDS = 0.5  # simulated time per step of the driver
PACE = 20.0  # simulated seconds per second
SETTLE_SECONDS = 5.0  # until the nodes are Ready


class Closeable(Protocol):
    """A client that holds connections."""

    def close(self) -> None:
        """Close the connections."""


class Lab:
    """A cluster on virtual time behind a real HTTP server.

    Args:
        settle: simulated seconds that pass first, so that the nodes become Ready.
        serve: options of the server: users, token, tls, read_only.
        options: options of the `Cluster`: nodes, seed, hpa (off by default here) ...

    Attributes:
        cluster: the cluster.
        server: its HTTP server.
        url: the server's address: ``http://127.0.0.1:PORT``.

    Raises:
        BadRequest: the options ask for the live clock.
    """

    def __init__(
        self, *, settle: float = SETTLE_SECONDS, serve: dict[str, Any] | None = None, **options: Any
    ) -> None:
        if options.get("clock", "virtual") != "virtual":
            raise BadRequest("a Lab runs on virtual time", hint='use Cluster(clock="live")')
        check_arguments({"serve": optional(instance_of(dict, "a dictionary"))}, {"serve": serve})
        self.cluster = Cluster(**{"hpa": False, **options})
        self._lock = threading.Lock()  # time has one driver at a time: the test or its thread
        self._folder = TemporaryDirectory(prefix="kubesim-")
        self.server = self.cluster.serve(**(serve or {}))
        self.url = self.server.url
        self._clients: list[Closeable] = []
        self.advance(settle)

    def advance(self, seconds: float) -> None:
        """Let simulated seconds pass, without waiting."""
        with self._lock:
            self.cluster.sleep(seconds)

    def wait_until(self, predicate: Callable[[], bool], timeout: float = 300.0) -> None:
        """Let simulated time pass until a predicate holds.

        Args:
            predicate: called every half simulated second; it may use any client.
            timeout: in simulated seconds.

        Raises:
            AssertionError: the predicate does not hold in time.
        """
        end = self.cluster.clock.now() + timeout
        while not predicate():
            if self.cluster.clock.now() >= end:
                raise AssertionError(
                    f"the predicate does not hold after {timeout:g} simulated seconds"
                )
            self.advance(STEP_SECONDS)

    @contextmanager
    def driven(self, pace: float = PACE) -> Iterator[Lab]:
        """Let time pass in the background, for operators and for clients that wait.

        Args:
            pace: simulated seconds per second.
        """
        ended = threading.Event()
        failures: list[BaseException] = []

        def drive() -> None:
            try:
                while not ended.wait(STEP_SECONDS / pace):
                    self.advance(STEP_SECONDS)
            except BaseException as error:  # noqa: BLE001 - re-raised in the test's thread
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
        """Write a kubeconfig and return its path, for ``KUBECONFIG``; `close` deletes it."""
        path = Path(self._folder.name, "kubeconfig.yaml")
        self.server.kubeconfig(path)
        return path

    def client(self, api: str = "CoreV1Api") -> Any:
        """Return an API of the official Python client, configured for this lab.

        Args:
            api: name of its class: CoreV1Api, AppsV1Api, CustomObjectsApi ...

        Raises:
            ImportError: the package `kubernetes` is not installed.
        """
        try:
            kubernetes = import_module("kubernetes")
        except ImportError as error:
            raise ImportError(
                "Lab.client() needs the official client: pip install kubernetes"
            ) from error
        client = kubernetes.config.new_client_from_config(str(self.kubeconfig()))
        self._clients.append(client)
        return getattr(kubernetes.client, api)(client)

    def close(self) -> None:
        """Close the clients, the server and the cluster; may be called twice."""
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
    """Return a pytest fixture that yields a new `Lab`: ``lab = kubesim.testing.fixture(nodes=2)``.

    Args:
        scope: scope of the fixture: function, module, session ...
        options: options of the `Lab`.

    Raises:
        ImportError: the package `pytest` is not installed.
    """

    def lab() -> Iterator[Lab]:
        with Lab(**options) as new_lab:
            yield new_lab

    try:
        return import_module("pytest").fixture(scope=scope)(lab)
    except ImportError as error:
        raise ImportError("fixture() needs pytest: pip install pytest") from error

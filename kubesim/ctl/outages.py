"""`cluster.controller("replicaset-controller")`: crash a controller, and restart it.

A crashed controller has no watches and misses all events. Restarted, it lists all objects, compares
them with the desired state, and does what is missing. That is what level-triggered means.

>>> from kubesim import Cluster
>>> with Cluster(nodes=1) as cluster:
...     cluster.sleep(5)
...     controller = cluster.controller("statefulset-controller")
...     controller.crash()
...     cluster.api.delete_pod(cluster.api.list_pods()[0]["id"])
...     cluster.sleep(60)
...     print(len(cluster.api.list_pods()))
...     controller.restart()
...     cluster.sleep(5)
...     print(len(cluster.api.list_pods()))
0
1

Real counterpart: kube-controller-manager crashes and the kubelet restarts its container. That ends
all controllers at once, or another replica takes over the lease.
"""

from __future__ import annotations

from kubesim.client import Controller, Tools
from kubesim.errors import BadRequest, NotFound, mapping_hint


class ControllerHandle:
    """One controller of a cluster, to crash and to restart it.

    Args:
        controllers: of the cluster; a restart replaces the controller in this list.
        name: for example ``replicaset-controller``.
        tools: what a controller is constructed with.

    Raises:
        NotFound: no such controller; the message lists the controllers.
    """

    def __init__(self, controllers: list[Controller], name: str, tools: Tools) -> None:
        names = [controller.name for controller in controllers]
        if name not in names:
            raise NotFound(f"there is no controller {name!r}", hint=mapping_hint(name, names))
        self._controllers = controllers
        self._place = names.index(name)
        self._tools = tools
        self.name = name

    @property
    def running(self) -> bool:
        """Whether the controller runs."""
        return not self._controllers[self._place].stopped

    def crash(self) -> None:
        """Stop the controller: its queue, its caches and its memory are lost."""
        self._controllers[self._place].stop()

    def restart(self) -> None:
        """Start a new instance, which begins by listing.

        Raises:
            BadRequest: the controller runs.
        """
        if self.running:
            raise BadRequest(f"{self.name} runs", hint="call crash() first")
        restarted = type(self._controllers[self._place])(self._tools)
        self._controllers[self._place] = restarted
        restarted.start()

    def __repr__(self) -> str:
        return f"{self.name}: {'running' if self.running else 'crashed'}"

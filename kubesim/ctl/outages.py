"""`cluster.controller("replicaset-controller")`: end one controller, and start it anew.

While it is away its watches are gone, and with them every event of that time. Started again it
knows nothing: it lists, compares with what is wanted, and does what is missing. That is what
level-triggered means.

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

Real counterpart: kube-controller-manager ends and its container is started anew; there all
controllers go with it, or another replica takes over by its lease.
"""

from __future__ import annotations

from kubesim.client import Controller, Tools
from kubesim.errors import BadRequest, NotFound, mapping_hint


class ControllerHandle:
    """One controller of a cluster, to crash and to restart it.

    Args:
        controllers: of the cluster; a restart puts another one in the place of the old.
        name: for example ``replicaset-controller``.
        tools: what a controller is constructed with.

    Raises:
        NotFound: no such controller; the message lists those that there are.
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
        """It watches and acts."""
        return not self._controllers[self._place].stopped

    def crash(self) -> None:
        """End it: its queue, its caches and whatever it had remembered are lost."""
        self._controllers[self._place].stop()

    def restart(self) -> None:
        """Start another one on the same store; it begins by listing.

        Raises:
            BadRequest: it runs.
        """
        if self.running:
            raise BadRequest(f"{self.name} runs", hint="crash() it first")
        fresh = type(self._controllers[self._place])(self._tools)
        self._controllers[self._place] = fresh
        fresh.start()

    def __repr__(self) -> str:
        return f"{self.name}: {'running' if self.running else 'crashed'}"

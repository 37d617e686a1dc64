"""A small HTTP client of the Kubernetes API: what the tests of the wire speak with."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from kubesim import Cluster
from kubesim.rest import RestServer

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
JSON_PATCH = "application/json-patch+json"
APPLY = "application/apply-patch+yaml"
PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


class Reply(NamedTuple):
    """What came back."""

    status: int
    body: Any
    headers: Any


class Kube:
    """A keep-alive connection to one server."""

    def __init__(self, server: RestServer) -> None:
        self.server = server
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)

    def __call__(
        self, method: str, path: str, body: Any = None, kind: str = "application/json", **more: str
    ) -> Reply:
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        headers = {name.replace("_", "-"): value for name, value in more.items()}
        if data is not None:
            headers["Content-Type"] = kind
        self.connection.request(method, path, data, headers)
        reply = self.connection.getresponse()
        text = reply.read()
        is_json = reply.headers.get("Content-Type", "").startswith("application/json") and text
        return Reply(reply.status, json.loads(text) if is_json else text.decode(), reply.headers)

    def watch(self, path: str, count: int, **more: str) -> list[Any]:
        """The first events of a watch, or all if it ends before."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        headers = {name.replace("_", "-"): value for name, value in more.items()}
        connection.request("GET", path, headers=headers)
        reply = connection.getresponse()
        assert reply.status == 200, reply.read()
        found = []
        while len(found) < count and (line := reply.readline()):
            found.append(json.loads(line))
        connection.close()
        return found


@contextmanager
def kube(**options: Any) -> Iterator[tuple[Cluster, Kube]]:
    """A cluster on virtual time whose two nodes and one pod are up, and a client."""
    with Cluster(nodes=2, seed=1) as cluster:
        server = cluster.serve(**options)
        cluster.sleep(5)
        yield cluster, Kube(server)


def config_map(name: str, **data: str) -> dict[str, Any]:
    """A ConfigMap."""
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, "data": data}


def deployment(name: str, replicas: int = 2) -> dict[str, Any]:
    """A Deployment."""
    labels = {"app": name}
    return {
        "kind": "Deployment",
        "apiVersion": "apps/v1",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [{"name": "main", "image": "nginx"}]},
            },
        },
    }

"""Answers that clients trip over: their form on the wire, header by header and field by field."""

from __future__ import annotations

import http.client
import json
import socket
from pathlib import Path

import pytest
from kube_http import DEPLOYMENTS, MAPS, MERGE, PODS, TABLE, Kube, config_map, deployment, kube

from kubesim import Cluster
from kubesim.rest import RestServer

NAMESPACES = "/api/v1/namespaces"
CORE = "/api/v1/namespaces/default"
ZEROS = {  # collection -> (body without metadata, status of the new object)
    f"{CORE}/services": ({"spec": {"ports": [{"port": 80}]}}, {"loadBalancer": {}}),
    "/apis/apps/v1/namespaces/default/replicasets": ({}, {"replicas": 0}),
    "/apis/apps/v1/namespaces/default/statefulsets": ({}, {"replicas": 0, "availableReplicas": 0}),
    "/apis/apps/v1/namespaces/default/daemonsets": (
        {},
        {
            "currentNumberScheduled": 0,
            "numberMisscheduled": 0,
            "desiredNumberScheduled": 0,
            "numberReady": 0,
        },
    ),
    "/apis/policy/v1/namespaces/default/poddisruptionbudgets": (
        {"spec": {"minAvailable": 1}},
        {"disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0},
    ),
    "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers": (
        {
            "spec": {
                "maxReplicas": 3,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            }
        },
        {"desiredReplicas": 0},
    ),
    "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers": (
        {
            "spec": {
                "maxReplicas": 3,
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            }
        },
        {"currentReplicas": 0, "desiredReplicas": 0},
    ),
}
RETURNED = {  # collection -> spec; DELETE answers with the object
    "resourcequotas": {"hard": {"pods": "3"}},
    "persistentvolumeclaims": {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
    },
    "services": {"ports": [{"port": 80}]},
    "serviceaccounts": None,
}


def template(name: str) -> dict[str, object]:
    """The spec of a workload."""
    return {
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "main", "image": "nginx"}]},
        },
    }


@pytest.mark.parametrize("path", ZEROS)
def test_fields_that_go_always_writes_are_there(path: str) -> None:
    """Numbers and structures without omitempty: at creation, and after a status without them."""
    body, expected = ZEROS[path]
    with kube() as (_, client):
        created = client(
            "POST", path, {"spec": template("new"), **body, "metadata": {"name": "new"}}
        )
        assert (created.status, created.body["status"]) == (201, expected)
        empty = {"metadata": {"name": "new"}, "status": {}}
        written = client("PUT", f"{path}/new/status", empty)
        assert (written.status, written.body["status"]) == (200, expected)


@pytest.mark.parametrize("plural", RETURNED)
def test_a_deletion_answers_with_the_object(plural: str) -> None:
    """Kinds with ReturnDeletedObject; the others answer with a Status."""
    with kube() as (_, client):
        body: dict[str, object] = {"metadata": {"name": "x"}}
        if RETURNED[plural] is not None:
            body["spec"] = RETURNED[plural]
        created = client("POST", f"{CORE}/{plural}", body).body
        answer = client("DELETE", f"{CORE}/{plural}/x").body
        assert (answer["kind"], answer["metadata"]["uid"]) == (
            created["kind"],
            created["metadata"]["uid"],
        )
        client("POST", MAPS, config_map("m"))
        assert client("DELETE", f"{MAPS}/m").body["kind"] == "Status"


def raw(server: RestServer, head: str) -> bytes:
    """The bytes of an answer, until the server waits."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(f"{head} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        answer = b""
        while b"\r\n\r\n" not in answer or (b"chunked" not in answer and answer[-2:] != b"}\n"):
            piece = connection.recv(65536)
            assert piece, answer
            answer += piece
    return answer


def test_the_keys_of_a_status_stand_in_gos_order() -> None:
    """Details before code, and a newline at the end."""
    with kube() as (_, client):
        body = raw(client.server, f"GET {PODS}/none").partition(b"\r\n\r\n")[2]
    keys = ["kind", "apiVersion", "metadata", "status", "message", "reason", "details", "code"]
    assert list(json.loads(body)) == keys and body.endswith(b"}\n")


def test_only_some_errors_have_details() -> None:
    """Those of Go's constructors: a BadRequest has none; every answer ends with a newline."""
    with kube() as (_, client):
        bad = client("POST", PODS, {"spec": 5})
        assert (bad.status, bad.body["reason"]) == (400, "BadRequest")
        assert "details" not in bad.body
        both = {"orphanDependents": True, "propagationPolicy": "Orphan"}
        refused = client("DELETE", f"{PODS}/none", both)
        assert refused.status == 422
        assert "orphanDependents and deletionPropagation cannot be both set" in str(refused.body)
        for path in ("/api/v1/namespaces/default", "/api/v1/namespaces", "/api"):
            assert raw(client.server, f"GET {path}").endswith(b"}\n"), path


@pytest.mark.parametrize("path", [f"{PODS}?watch=true", f"{PODS}/auto-pod-0/log?follow=true"])
def test_a_stream_does_not_announce_the_end_of_the_connection(path: str) -> None:
    """Watch.stop() of the official Python client waits a minute for it otherwise."""
    with kube() as (cluster, client):
        name = cluster.api.list("Pod")["items"][0]["metadata"]["name"]
        head = raw(client.server, f"GET {path.replace('auto-pod-0', name)}").partition(b"\r\n\r\n")[
            0
        ]
    assert b"Transfer-Encoding: chunked" in head and b"Connection" not in head


@pytest.mark.parametrize("endpoint", ["livez", "readyz", "healthz"])
def test_the_health_endpoints_list_their_checks(endpoint: str) -> None:
    """`?verbose` lists them, `exclude` leaves one out, and each has a path of its own."""
    with kube() as (_, client):
        assert client("GET", f"/{endpoint}").body == "ok"
        lines = client("GET", f"/{endpoint}?verbose&exclude=log").body.splitlines()
        assert lines[:3] == ["[+]ping ok", "[+]log excluded: ok", "[+]etcd ok"]
        assert lines[-1] == f"{endpoint} check passed"
        assert ("[+]shutdown ok" in lines) == (endpoint == "readyz")


def test_a_health_check_has_its_own_path() -> None:
    """/livez/etcd is ok, and a check that does not exist is 404."""
    with kube() as (_, client):
        assert client("GET", "/livez/etcd").body == "ok"
        assert client("GET", "/readyz/poststarthook/crd-informer-synced").body == "ok"
        assert client("GET", "/livez/none").status == 404


def test_the_first_of_two_query_parameters_counts() -> None:
    """As in Kubernetes; the simulator's own routes refuse them."""
    with kube() as (_, client):
        for name in ("a", "b"):
            client("POST", MAPS, config_map(name))
        listed = client("GET", f"{MAPS}?limit=1&limit=2").body
        assert [item["metadata"]["name"] for item in listed["items"]] == ["a"]
        assert client("GET", "/api/logs?limit=1&limit=2").status == 400


def test_the_kubeconfig_is_there_before_the_port_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits for the file may connect, and whoever waits for the port finds the file."""
    file, written = tmp_path / "config", []

    def activate(server: object) -> None:
        written.append(file.exists())
        opened(server)

    with Cluster(nodes=1) as cluster:
        from kubesim.rest.http.connections import HTTPServer

        opened = HTTPServer.server_activate
        monkeypatch.setattr(HTTPServer, "server_activate", activate)
        server = cluster.serve(kubeconfig=file)
        assert written == [True] and server.url in file.read_text()
        assert http.client.HTTPConnection("127.0.0.1", server.port, timeout=5).connect() is None


def test_the_port_is_free_again_if_the_kubeconfig_cannot_be_written(tmp_path: Path) -> None:
    """The error names the file, and a second start works."""
    with Cluster(nodes=1) as cluster:
        with pytest.raises(OSError, match="none"):
            cluster.serve(kubeconfig=tmp_path / "none" / "config")
        assert Kube(cluster.serve())("GET", DEPLOYMENTS).status == 200


@pytest.mark.parametrize(("version", "status"), [("v1", 201), ("0", 201), ("", 201), ("7", 400)])
def test_only_a_number_is_the_revision_of_an_object_to_create(version: str, status: int) -> None:
    """Charts carry `resourceVersion: v1`; the real server accepts it."""
    with kube() as (_, client):
        body = {"metadata": {"name": "m", "resourceVersion": version}}
        assert client("POST", MAPS, body).status == status


def test_a_scale_has_columns() -> None:
    """`kubectl get --subresource=scale` shows the wanted and the present number of pods."""
    with kube() as (cluster, client):
        client("POST", DEPLOYMENTS, deployment("web", replicas=2))
        cluster.sleep(10)
        table = client("GET", f"{DEPLOYMENTS}/web/scale", Accept=TABLE).body
    assert [column["name"] for column in table["columnDefinitions"]] == [
        "Name",
        "Desired",
        "Available",
        "Age",
    ]
    assert table["rows"][0]["cells"] == ["web", 2, 2, "10s"]


def test_the_fields_of_controllers_belong_to_their_program() -> None:
    """The manager of a field that a controller writes is kube-controller-manager."""
    with kube() as (cluster, client):
        client("POST", DEPLOYMENTS, deployment("web"))
        cluster.sleep(10)
        entries = client("GET", f"{DEPLOYMENTS}/web").body["metadata"]["managedFields"]
    managers = [entry["manager"] for entry in entries]
    assert "kube-controller-manager" in managers and "deployment-controller" not in managers


def test_a_status_holds_no_negative_number() -> None:
    """422, by PATCH and by PUT, with the path and the rule."""
    with kube() as (_, client):
        client("POST", DEPLOYMENTS, deployment("web"))
        status = {"status": {"replicas": -1}}
        for method in ("PATCH", "PUT"):
            body = {**status, "metadata": {"name": "web"}}
            refused = client(method, f"{DEPLOYMENTS}/web/status", body, kind_of(method))
            assert refused.status == 422
            assert "status.replicas: Invalid value: -1: must be" in refused.body["message"]


def kind_of(method: str) -> str:
    """The media type of a body."""
    return MERGE if method == "PATCH" else "application/json"

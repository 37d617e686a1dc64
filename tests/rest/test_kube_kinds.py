"""Kinds that are only kept, over HTTP and with kubectl: warnings, protobuf, approval, discovery."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kube_http import TABLE, Kube, kube
from kubectl_tool import Kubectl, found, usual
from test_kube_protobuf import envelope
from test_kube_protobuf_table import encode

from kubesim.rest.serializer.protobuf import CONTENT_TYPE
from kubesim.testing import Lab

pytestmark = pytest.mark.live
VERSIONS = found()
INGRESSES = "/apis/networking.k8s.io/v1/namespaces/default/ingresses"
HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
KNATIVE = "/apis/serving.knative.dev/v1/namespaces/default/services"
MAPS = "/api/v1/namespaces/default/configmaps"
BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
INGRESS = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "Ingress",
    "metadata": {"name": "web"},
    "spec": {"defaultBackend": BACKEND},
}
RULE = {
    "operations": ["*"],
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "resources": ["configmaps"],
    # Rules are an atomic list: if a default is left out, each apply is a patch, as upstream.
    "scope": "*",
}
HOOK = {
    "name": "a.example.com",
    "clientConfig": {"url": "https://example.com"},
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "rules": [RULE],
}
PEM = """-----BEGIN CERTIFICATE REQUEST-----
MIHJMHACAQAwDjEMMAoGA1UEAwwDYWRhMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
QgAEm5Gv+bEGfjmvMB+VbB3g+Agmiz+hHxJItj6aDgRwydeUrgATFABa6PTT5gjb
tfmUaKbO0ehgE1Td818HqXYpn6AAMAoGCCqGSM49BAMCA0kAMEYCIQC4NfYFVxgj
aS8hnZTlb07EKrdeEdAYQzcJuLbBI8JXqgIhAMFI+MhqsBpbDIHJ/rEC0lmqv7Ew
lhcZz2XWjESBNEGK
-----END CERTIFICATE REQUEST-----
"""
CSR = {
    "apiVersion": "certificates.k8s.io/v1",
    "kind": "CertificateSigningRequest",
    "metadata": {"name": "ada"},
    "spec": {
        "request": b64encode(PEM.encode()).decode(),
        "signerName": "example.com/signer",
        "usages": ["client auth"],
    },
}


@pytest.fixture(scope="module")
def ask() -> Iterator[Kube]:
    """A client."""
    with kube() as (_, client):
        yield client


def config_map(name: str) -> dict[str, Any]:
    """A small object."""
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}}


def test_an_ingress_sent_as_protobuf_is_kept_with_a_warning(ask: Kube) -> None:
    """As kubectl 1.34's `create ingress` sends it; nothing of it is lost."""
    raw = envelope(
        "networking.k8s.io/v1", "Ingress", encode("k8s.io.api.networking.v1.Ingress", INGRESS)
    )
    created = ask("POST", INGRESSES, raw, CONTENT_TYPE)
    assert created.status == 201
    assert created.body["spec"] == INGRESS["spec"]
    assert created.body["status"] == {"loadBalancer": {}}
    warning = 'keeps this Ingress but does not enforce it: no traffic passes through it"'
    assert created.headers["Warning"].endswith(warning)
    shown = ask("GET", INGRESSES, Accept=TABLE).body["rows"]
    assert [row["cells"][:5] for row in shown] == [["web", "<none>", "*", "", "80"]]


def test_a_write_that_a_webhook_would_judge_has_a_warning(ask: Kube) -> None:
    """POST, PUT, PATCH, DELETE; and none once the configuration is deleted."""
    configuration = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "hooks"},
        "webhooks": [HOOK],
    }
    assert ask("POST", HOOKS, configuration).status == 201
    replies = [ask("POST", MAPS, config_map("a"))]
    changed = {**replies[0].body, "data": {"a": "b"}}
    replies.append(ask("PUT", f"{MAPS}/a", changed))
    merge = "application/merge-patch+json"
    replies.append(ask("PATCH", f"{MAPS}/a", {"data": {"a": "c"}}, merge))
    replies.append(ask("DELETE", f"{MAPS}/a"))
    operations = ["CREATE", "UPDATE", "UPDATE", "DELETE"]
    for reply, operation in zip(replies, operations, strict=True):
        assert reply.status in (200, 201)
        assert (
            f"matches this {operation}, but kubesim does not call it yet"
            in reply.headers["Warning"]
        )
    assert ask("DELETE", f"{HOOKS}/hooks").status == 200
    assert "Warning" not in ask("POST", MAPS, config_map("b")).headers


def test_a_request_is_approved_at_its_subresource(ask: Kube) -> None:
    """GET, PUT and PATCH of /approval, which discovery lists; no other kind has one."""
    created = ask("POST", REQUESTS, CSR).body
    condition = {"type": "Approved", "status": "True", "reason": "Yes"}
    approved = ask(
        "PUT", f"{REQUESTS}/ada/approval", {**created, "status": {"conditions": [condition]}}
    )
    assert approved.status == 200
    assert approved.body["status"]["conditions"][0]["type"] == "Approved"
    assert ask("GET", f"{REQUESTS}/ada/approval").body == approved.body
    merge = "application/merge-patch+json"
    patch = {"status": {"conditions": []}}
    assert ask("PATCH", f"{REQUESTS}/ada/approval", patch, merge).status == 422
    listed = ask("GET", "/apis/certificates.k8s.io/v1").body["resources"]
    assert {each["name"].partition("/")[2] for each in listed} == {"", "approval", "status"}
    assert ask("GET", f"{INGRESSES}/web/approval").status == 404


def test_events_are_served_in_two_groups(ask: Kube) -> None:
    """The same object, with the names of each group, and in one list."""
    path = "/apis/events.k8s.io/v1/namespaces/default/events"
    event = {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": "e"},
        "regarding": {"kind": "Pod", "name": "web", "namespace": "default"},
        "note": "Started",
        "reason": "Started",
        "action": "Starting",
        "reportingController": "example.com/controller",
        "reportingInstance": "one",
        "eventTime": "2025-01-01T00:00:00.000000Z",
    }
    created = ask("POST", path, event)
    assert created.status == 201
    assert (created.body["note"], created.body["apiVersion"]) == ("Started", "events.k8s.io/v1")
    core = ask("GET", "/api/v1/namespaces/default/events/e").body
    assert (core["message"], core["involvedObject"]["name"]) == ("Started", "web")
    (item,) = [each for each in ask("GET", path).body["items"] if each["metadata"]["name"] == "e"]
    assert item["regarding"]["name"] == "web"
    groups = {each["name"] for each in ask("GET", "/apis").body["groups"]}
    assert "events.k8s.io" in groups


def test_two_kinds_of_one_name_are_served_side_by_side(ask: Kube) -> None:
    """knative's Service beside the core Service: every verb reaches its own (C14)."""
    names = {
        "plural": "services",
        "singular": "service",
        "kind": "Service",
        "listKind": "ServiceList",
    }
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    version = {"name": "v1", "served": True, "storage": True, "schema": schema}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "services.serving.knative.dev"},
        "spec": {
            "group": "serving.knative.dev",
            "scope": "Namespaced",
            "names": names,
            "versions": [version],
        },
    }
    crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert ask("POST", crds, definition).status == 201
    made = {
        "apiVersion": "serving.knative.dev/v1",
        "kind": "Service",
        "metadata": {"name": "hello"},
    }
    assert ask("POST", KNATIVE, {**made, "spec": {"a": 1}}).status == 201
    core = {**made, "apiVersion": "v1", "spec": {"ports": [{"port": 80}]}}
    assert ask("POST", "/api/v1/namespaces/default/services", core).status == 201
    read = ask("GET", f"{KNATIVE}/hello").body
    assert (read["apiVersion"], read["spec"]) == ("serving.knative.dev/v1", {"a": 1})
    assert ask("PUT", f"{KNATIVE}/hello", {**read, "spec": {"a": 2}}).body["spec"] == {"a": 2}
    merge = "application/merge-patch+json"
    assert ask("PATCH", f"{KNATIVE}/hello", {"spec": {"a": 3}}, merge).body["spec"] == {"a": 3}
    assert [each["spec"] for each in ask("GET", KNATIVE).body["items"]] == [{"a": 3}]
    (added,) = ask.watch(f"{KNATIVE}?watch=true", 1)
    assert added["object"]["apiVersion"] == "serving.knative.dev/v1"
    assert ask("DELETE", f"{KNATIVE}/hello").status == 200
    assert ask("GET", "/api/v1/namespaces/default/services/hello").status == 200
    assert ask("GET", f"{KNATIVE}/hello").status == 404


MANIFEST = json.dumps(
    {
        "apiVersion": "v1",
        "kind": "List",
        "items": [
            INGRESS,
            CSR,
            {
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {"name": "closed"},
                "spec": {"podSelector": {}},
            },
            {
                "apiVersion": "admissionregistration.k8s.io/v1",
                "kind": "MutatingWebhookConfiguration",
                "metadata": {"name": "hooks"},
                "webhooks": [{**HOOK, "rules": [{**RULE, "resources": ["secrets"]}]}],
            },
            {
                "apiVersion": "node.k8s.io/v1",
                "kind": "RuntimeClass",
                "metadata": {"name": "gvisor"},
                "handler": "gvisor",
            },
        ],
    }
)


@pytest.mark.skipif(not VERSIONS, reason="there is no kubectl in PATH, and none in $KUBECTL")
@pytest.mark.parametrize("version", usual(VERSIONS)[-1:])
def test_kubectl_works_with_kinds_that_are_only_kept(version: str, tmp_path: Path) -> None:
    """apply twice, get by short name and wide, describe, create ingress, certificate approve."""
    with Lab(nodes=1, seed=1) as lab, lab.driven(pace=40):
        kubectl = Kubectl(VERSIONS[version], version, lab.url, tmp_path)
        first = kubectl("apply", "-f", "-", stdin=MANIFEST)
        assert first.code == 0, first.err
        assert "Warning: kubesim keeps this Ingress but does not enforce it" in first.err
        assert "Warning: kubesim keeps this NetworkPolicy but does not enforce it" in first.err
        again = kubectl.ok("apply", "-f", "-", stdin=MANIFEST).splitlines()
        assert [line.rpartition(" ")[2] for line in again] == ["unchanged"] * 5
        created = kubectl("create", "ingress", "shop", "--rule=shop.io/*=web:80,tls=cert")
        assert created.code == 0, created.err
        assert "80, 443" in kubectl.ok("get", "ing", "-o", "wide")
        assert "<none>" in kubectl.ok("get", "netpol")
        for reference in ("ing/shop", "netpol/closed", "runtimeclass/gvisor", "csr/ada"):
            assert reference.partition("/")[2] in kubectl.ok("describe", reference)
        kubectl.ok("certificate", "approve", "ada")
        assert "Approved" in kubectl.ok("get", "csr")
        assert "Healthy" in kubectl.ok("get", "cs")
        assert "hooks" in kubectl.ok("get", "mutatingwebhookconfigurations")
        explained = kubectl.ok("explain", "ingress.spec.rules.host")
        assert "FIELD: host" in explained

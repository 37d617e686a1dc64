"""Who may ask: tokens, users with rules, TLS, read-only servers, and the kubeconfig for that."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from kube_http import APPLY, MAPS, PODS, Kube, config_map, kube
from kubectl_tool import found, usual

from kubesim.__main__ import main
from kubesim.errors import BadRequest
from kubesim.rest.kubeconfig import kubeconfig_text
from kubesim.rest.users import ADMIN, RequestAttributes, Rule, User, read_users

pytestmark = pytest.mark.live

ANN = User(
    "ann",
    ("devs",),
    (
        Rule(("get", "list", "watch"), ("",), ("pods", "pods/log"), ("default",)),
        Rule(("create",), ("",), ("configmaps",), ("default",)),
        Rule(("get",), paths=("/api/pods*",)),
    ),
    "token-of-ann",
)
BOSS = User("boss", (), ADMIN.rules, "token-of-boss")


def bearer(user: User) -> str:
    """His Authorization header."""
    return f"Bearer {user.token}"


@pytest.mark.parametrize(
    ("attempt", "allowed"),
    [
        (RequestAttributes("get", "", "pods", "default", "a"), True),
        (RequestAttributes("get", "", "pods", "other", "a"), False),
        (RequestAttributes("get", "", "pods", ""), False),
        (RequestAttributes("get", "", "pods/log", "default", "a"), True),
        (RequestAttributes("get", "", "pods/status", "default", "a"), False),
        (RequestAttributes("get", "apps", "pods", "default"), False),
        (RequestAttributes("delete", "", "pods", "default"), False),
        (RequestAttributes("get", path="/api/pods/7"), True),
        (RequestAttributes("post", path="/api/pods"), False),
        (RequestAttributes("get", path="/metrics"), False),
    ],
)
def test_rules_only_add(attempt: RequestAttributes, allowed: bool) -> None:
    """What no rule allows is not allowed; each part of a rule must match."""
    assert ANN.may(attempt) is allowed
    assert BOSS.may(attempt)


def test_rules_may_name_objects_and_every_subresource() -> None:
    """resourceNames narrow a rule, and */scale means the scale of anything."""
    rule = Rule(("update",), ("apps",), ("*/scale",), names=("web",))
    assert rule.allows(RequestAttributes("update", "apps", "deployments/scale", "x", "web"))
    assert not rule.allows(RequestAttributes("update", "apps", "deployments/scale", "x", "db"))
    assert not rule.allows(RequestAttributes("update", "apps", "deployments", "x", "web"))


def test_each_user_may_do_what_the_rules_allow() -> None:
    """401 with a wrong token, 403 with kube-apiserver's message, 200 for what a rule allows."""
    with kube(users=[ANN, BOSS]) as (_, ask):
        assert ask("GET", PODS, Authorization="Bearer wrong").status == 401
        assert ask("GET", PODS, Authorization=bearer(ANN)).status == 200
        refused = ask("GET", "/api/v1/pods", Authorization=bearer(ANN))
        assert (refused.status, refused.body["message"]) == (
            403,
            'pods is forbidden: User "ann" cannot list resource "pods" in API group "" at the '
            "cluster scope",
        )
        refused = ask("DELETE", f"{PODS}/auto-pod-0", Authorization=bearer(ANN))
        assert refused.body["message"] == (
            'pods "auto-pod-0" is forbidden: User "ann" cannot delete resource "pods" in API '
            'group "" in the namespace "default"'
        )
        assert ask("POST", MAPS, config_map("a"), Authorization=bearer(ANN)).status == 201
        assert ask("GET", f"{MAPS}/a", Authorization=bearer(ANN)).status == 403
        assert ask("GET", f"{MAPS}/a", Authorization=bearer(BOSS)).status == 200
        assert ask("GET", "/api", Authorization=bearer(ANN)).status == 200


def test_a_request_without_a_token_is_the_anonymous_users() -> None:
    """It may ask for the version and the health, as by system:public-info-viewer, and no more."""
    with kube(users=[ANN, BOSS]) as (_, ask):
        for path in ("/version", "/healthz", "/livez", "/readyz"):
            assert ask("GET", path).status == 200, path
            assert ask("GET", path, Authorization="Bearer wrong").status == 401, path
        user = 'User "system:anonymous" cannot'
        for path, message in (
            (PODS, f'pods is forbidden: {user} list resource "pods" in API group "" in the '),
            ("/api", f'forbidden: {user} get path "/api"'),
            ("/healthz/ping", f'forbidden: {user} get path "/healthz/ping"'),
            ("/metrics", f'forbidden: {user} get path "/metrics"'),
            ("/apis/no/v1/things", f"things.no is forbidden: {user} list resource"),
            (f"{PODS}/a/nothing", f'pods "a" is forbidden: {user} get resource "pods/nothing"'),
        ):
            refused = ask("GET", path)
            assert (refused.status, refused.body["reason"]) == (403, "Forbidden")
            assert refused.body["message"].startswith(message)
        assert ask("GET", PODS, Authorization="Basic eDp5").status == 403
        assert ask("GET", "/apis/no/v1/things", Authorization=bearer(BOSS)).status == 404
        assert ask("GET", PODS, Authorization=f"bearer {ANN.token}").status == 200


def test_users_are_asked_on_the_simulators_own_routes_too() -> None:
    """Also on the second request of the same bytes: what was allowed once is not remembered."""
    with kube(users=[ANN, BOSS]) as (_, ask):
        assert ask("GET", "/api/pods").status == 401
        ask = Kube(ask.server)
        for _ in range(2):
            assert ask("GET", "/api/nodes", Authorization=bearer(BOSS)).status == 200
            assert ask("GET", "/api/nodes", Authorization=bearer(ANN)).status == 403
            assert ask("GET", "/api/pods", Authorization=bearer(ANN)).status == 200


def test_reviews_answer_for_the_user_who_asks() -> None:
    """can-i and whoami tell ann what she may."""
    reviews = "/apis/authorization.k8s.io/v1/{}"
    with kube(users=[ANN, BOSS]) as (_, ask):
        attributes = {"verb": "delete", "resource": "pods", "namespace": "default"}
        spec: dict[str, Any] = {"resourceAttributes": attributes}
        path = reviews.format("selfsubjectaccessreviews")
        mine = ask("POST", path, {"spec": spec}, Authorization=bearer(ANN))
        assert mine.body["status"]["allowed"] is False
        spec["user"] = "boss"
        path = reviews.format("subjectaccessreviews")
        review = ask("POST", path, {"spec": spec}, Authorization=bearer(BOSS))
        assert review.body["status"]["allowed"] is True
        token = {"spec": {"token": BOSS.token}}
        path = "/apis/authentication.k8s.io/v1/tokenreviews"
        found = ask("POST", path, token, Authorization=bearer(BOSS)).body["status"]
        assert (found["authenticated"], found["user"]["username"]) == (True, "boss")


def test_a_read_only_server_refuses_every_change() -> None:
    """403 for writes on all routes; reading, watching and asking go on."""
    with kube(read_only=True) as (cluster, ask):
        before = cluster.store.revision
        assert ask("GET", PODS).status == 200
        assert ask("POST", MAPS, config_map("a")).body["reason"] == "Forbidden"
        assert ask("DELETE", f"{PODS}/auto-pod-0").status == 403
        assert ask("PATCH", f"{PODS}/auto-pod-0", {}).status == 403
        assert ask("POST", "/api/pods", {"name": "a"}).status == 403
        review = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
        assert ask("POST", review, {}).status == 201
        assert cluster.store.revision == before


def test_a_token_is_asked_for_as_a_status() -> None:
    """Where a token is set, the Kubernetes API says Unauthorized in its own form."""
    with kube(token="secret-token") as (_, ask):
        refused = ask("GET", PODS)
        assert (refused.status, refused.body["kind"]) == (401, "Status")
        ask = Kube(ask.server)
        assert ask("GET", PODS, Authorization="Bearer secret-token").status == 200
        assert 'token: "secret-token"' in ask.server.kubeconfig()


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no program openssl")
def test_tls_with_a_certificate_that_only_the_kubeconfig_knows() -> None:
    """Requests, keep-alive and watches over TLS; clients need the certificate to trust it."""
    with kube(tls=True) as (_, ask):
        server = ask.server
        assert server.url.startswith("https://")
        assert server.certificate is not None
        assert "certificate-authority-data: " in server.kubeconfig()
        trusting = ssl.create_default_context(cadata=server.certificate.text)
        connection = http.client.HTTPSConnection(
            "127.0.0.1", server.port, timeout=20, context=trusting
        )
        for _ in range(2):
            connection.request("GET", PODS)
            assert json.loads(connection.getresponse().read())["kind"] == "PodList"
        connection.request("GET", f"{PODS}?watch=true&timeoutSeconds=1")
        lines = connection.getresponse().read().splitlines()
        assert [json.loads(line)["type"] for line in lines] == ["ADDED"]
        sock = connection.sock
        connection.request("GET", PODS)
        assert json.loads(connection.getresponse().read())["kind"] == "PodList"
        assert connection.sock is sock
        stranger = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=20)
        with pytest.raises(ssl.SSLError):
            stranger.request("GET", PODS)
        plain = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        with pytest.raises((OSError, http.client.HTTPException)):
            plain.request("GET", PODS)
            plain.getresponse()


def test_without_openssl_a_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """TLS is refused, plain HTTP is offered."""
    monkeypatch.setattr("kubesim.rest.http.certificates.which", lambda _name: None)
    with pytest.raises(BadRequest, match="plain HTTP"), kube(tls=True):
        pass


def test_the_kubeconfig_has_all_that_clients_need(tmp_path: Path) -> None:
    """Server, context with namespace, a user even where none is needed; private to its owner."""
    with kube() as (_, ask):
        path = tmp_path / "kubesim.yaml"
        text = ask.server.kubeconfig(path)
        assert path.read_text() == text
        assert path.stat().st_mode & 0o077 == 0
        assert f'server: "{ask.server.url}"' in text
        assert "user: {}" in text
    with kube(users=[ANN, BOSS]) as (_, ask):
        assert ANN.token in ask.server.kubeconfig()
        assert BOSS.token in ask.server.kubeconfig(user="boss")
        with pytest.raises(BadRequest, match="nobody"):
            ask.server.kubeconfig(user="nobody")


def test_the_command_line_writes_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """python -m kubesim kubeconfig, to the screen or to a file."""
    assert main(["kubeconfig", "--port", "8123"]) == 0
    assert 'server: "http://127.0.0.1:8123"' in capsys.readouterr().out
    path = tmp_path / "k.yaml"
    assert main(["kubeconfig", "--out", str(path), "--token", "abc"]) == 0
    assert 'token: "abc"' in path.read_text()
    assert "KUBECONFIG" in capsys.readouterr().out


def test_a_file_of_users_is_read_strictly(tmp_path: Path) -> None:
    """Names, tokens and rules; anything else is refused with the file's name."""
    path = tmp_path / "users.json"
    rules = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
    path.write_text(json.dumps({"users": [{"name": "a", "token": "12345678", "rules": rules}]}))
    (user,) = read_users(path)
    assert user.may(RequestAttributes("delete", "apps", "deployments", "x"))
    for text in (
        "",
        "[]",
        '{"users": []}',
        '{"users": [{"name": "a"}]}',
        '{"users": [{"name": "a", "token": "short"}]}',
        '{"users": [{"name": "a", "token": "12345678", "rules": [{"verbs": "get"}]}]}',
        '{"users": [{"name": "a", "token": "12345678"}, {"name": "b", "token": "12345678"}]}',
    ):
        path.write_text(text)
        with pytest.raises(BadRequest, match=r"users\.json"):
            read_users(path)


def test_an_administrator_may_impersonate_other_users() -> None:
    """kubectl --as: with the rights of that user, or none if there is no such user."""
    with kube() as (_, ask):
        refused = ask("GET", PODS, Impersonate_User="somebody")
        assert refused.body["message"] == (
            'pods is forbidden: User "somebody" cannot list resource "pods" in API group "" in '
            'the namespace "default"'
        )
        group = {"Impersonate_User": "somebody", "Impersonate_Group": "system:masters"}
        assert ask("GET", PODS, **group).status == 200
    with kube(users=[ANN, BOSS]) as (_, ask):
        both = {"Authorization": bearer(BOSS), "Impersonate_User": "ann"}
        assert ask("GET", PODS, **both).status == 200
        assert ask("DELETE", f"{PODS}/auto-pod-0", **both).status == 403
        refused = ask("GET", PODS, Authorization=bearer(ANN), Impersonate_User="boss")
        assert 'cannot impersonate resource "users"' in refused.body["message"]


def test_a_kubeconfig_says_all_that_clients_insist_on() -> None:
    """Over TLS a token, though none is asked for; over plain HTTP that no certificate counts."""
    plain = kubeconfig_text("http://127.0.0.1:8080")
    assert "    insecure-skip-tls-verify: true\n" in plain and "user: {}" in plain
    secure = kubeconfig_text("https://127.0.0.1:8080", authority="PEM")
    assert '    token: "not-checked"\n' in secure and "insecure" not in secure
    assert '    token: "mine"\n' in kubeconfig_text("https://a", authority="PEM", token="mine")


@pytest.mark.parametrize("version", usual(found()))
def test_kubectl_asks_for_no_password_over_tls(version: str, tmp_path: Path) -> None:
    """`serve --tls` without a token: the kubeconfig is all that kubectl needs."""
    with kube(tls=True) as (_, ask):
        config = tmp_path / "config"
        ask.server.kubeconfig(config)
        command = [found()[version], "--kubeconfig", str(config), "get", "nodes", "-o", "name"]
        environment = {**os.environ, "HOME": str(tmp_path)}
        shown = subprocess.run(
            command, capture_output=True, text=True, input="", timeout=60, env=environment
        )
    assert (shown.returncode, shown.stdout.split()) == (0, ["node/node-1", "node/node-2"])


SUBJECT = {"user": "boss", "resourceAttributes": {"verb": "get", "resource": "pods"}}
PATCHER = User("pat", (), (Rule(("patch", "get"), ("",), ("configmaps",)),), "token-of-pat")


def test_an_apply_that_creates_needs_the_right_to_create() -> None:
    """A server-side apply by a user who may only patch changes objects and makes none."""
    with kube(users=[BOSS, PATCHER]) as (_, ask):
        sent = {"kind": "ConfigMap", "apiVersion": "v1", "data": {"a": "1"}}
        path = f"{MAPS}/m?fieldManager=me"
        refused = ask("PATCH", path, sent, APPLY, Authorization=bearer(PATCHER))
        assert refused.status == 403 and "cannot create resource" in refused.body["message"]
        assert ask("PATCH", path, sent, APPLY, Authorization=bearer(BOSS)).status == 201
        sent["data"] = {"a": "1", "b": "2"}
        path += "&force=true"
        assert ask("PATCH", path, sent, APPLY, Authorization=bearer(PATCHER)).status == 200


@pytest.mark.parametrize(
    ("group", "plural", "status"),
    [
        ("authorization.k8s.io", "selfsubjectaccessreviews", 201),
        ("authorization.k8s.io", "subjectaccessreviews", 403),
        ("authentication.k8s.io", "selfsubjectreviews", 201),
        ("authentication.k8s.io", "tokenreviews", 403),
    ],
)
def test_only_reviews_of_oneself_are_for_everybody(group: str, plural: str, status: int) -> None:
    """Whoever reviews others or their tokens needs the right to create such reviews."""
    with kube(users=[BOSS, PATCHER]) as (_, ask):
        spec: dict[str, Any] = SUBJECT if "access" in plural else {"token": "t"}
        path, body = f"/apis/{group}/v1/{plural}", {"spec": spec}
        assert ask("POST", path, body, Authorization=bearer(PATCHER)).status == status
        assert ask("POST", path, body, Authorization=bearer(BOSS)).status == 201

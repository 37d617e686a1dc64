"""Roles, tokens and impersonation over HTTP; real kubectl's auth, create token and create role."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from kube_http import PODS, Kube, kube
from kubectl_tool import Kubectl, found, usual

from kubesim import Cluster
from kubesim.rest.users import ADMIN, Rule, User

pytestmark = pytest.mark.live

BOSS = User("boss", ("system:masters", "system:authenticated"), (), "token-of-boss")
ANN = User("ann", ("system:authenticated",), (), "token-of-ann")
IMPERSONATOR = User(
    "imp",
    ("system:authenticated",),
    (Rule(("impersonate",), ("",), ("users",)),),
    "token-of-imp",
)
USERS = [BOSS, ANN, IMPERSONATOR]
RBAC = "/apis/rbac.authorization.k8s.io/v1"
TOKEN = "/api/v1/namespaces/default/serviceaccounts/default/token"
AUTHORIZATION, AUTHENTICATION = "/apis/authorization.k8s.io/v1", "/apis/authentication.k8s.io/v1"
VERSIONS = found()
USUAL = usual(VERSIONS)


def bearer(user: User | str) -> str:
    """An Authorization header."""
    return f"Bearer {user if isinstance(user, str) else user.token}"


def grant(ask: Kube, role: str, **subject: str) -> None:
    """Bind a ClusterRole in the namespace default."""
    document = {
        "metadata": {"name": f"{role}-{subject['name']}"},
        "roleRef": {"kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "User", **subject}],
    }
    path = f"{RBAC}/namespaces/default/rolebindings"
    assert ask("POST", path, document, Authorization=bearer(BOSS)).status == 201


def test_a_binding_counts_at_once() -> None:
    """403 before, 200 after, 403 once it is gone; discovery is for all who are known."""
    with kube(users=USERS) as (_, ask):
        assert ask("GET", "/apis", Authorization=bearer(ANN)).status == 200
        assert ask("GET", PODS, Authorization=bearer(ANN)).status == 403
        grant(ask, "view", name="ann")
        assert ask("GET", PODS, Authorization=bearer(ANN)).status == 200
        assert ask("DELETE", f"{PODS}/auto-pod-0", Authorization=bearer(ANN)).status == 403
        path = f"{RBAC}/namespaces/default/rolebindings/view-ann"
        assert ask("DELETE", path, Authorization=bearer(BOSS)).status == 200
        assert ask("GET", PODS, Authorization=bearer(ANN)).status == 403


def test_a_role_names_the_simulators_own_routes_with_a_prefix() -> None:
    """Discovery, which everybody may read, is below /api, too."""
    with kube(users=USERS) as (_, ask):
        assert ask("GET", "/api/v1", Authorization=bearer(ANN)).status == 200
        ask = Kube(ask.server)
        assert ask("GET", "/api/nodes", Authorization=bearer(ANN)).status == 403
        rules = [{"verbs": ["get"], "nonResourceURLs": ["/kubesim/api/nodes"]}]
        role = {"metadata": {"name": "nodes"}, "rules": rules}
        binding = {
            "metadata": {"name": "nodes"},
            "roleRef": {"kind": "ClusterRole", "name": "nodes"},
            "subjects": [{"kind": "User", "name": "ann"}],
        }
        for plural, document in (("clusterroles", role), ("clusterrolebindings", binding)):
            created = ask("POST", f"{RBAC}/{plural}", document, Authorization=bearer(BOSS))
            assert created.status == 201
        assert ask("GET", "/api/nodes", Authorization=bearer(ANN)).status == 200
        assert ask("POST", "/api/pods", {"name": "a"}, Authorization=bearer(ANN)).status == 403


def test_a_list_of_one_name_is_about_that_object() -> None:
    """resourceNames allow a list and a watch that select metadata.name."""
    rule = Rule(("list",), ("",), ("pods",), names=("auto-pod-0",))
    with kube(users=[User("one", (), (rule,), "token-of-one")]) as (_, ask):
        selected = f"{PODS}?fieldSelector=metadata.name%3Dauto-pod-0"
        assert ask("GET", selected, Authorization="Bearer token-of-one").status == 200
        assert ask("GET", PODS, Authorization="Bearer token-of-one").status == 403


def test_who_may_list_may_not_watch() -> None:
    """The verbs are told apart: a watch needs the verb watch, and a list the verb list."""
    users = [
        User(verb, (), (Rule((verb,), ("",), ("pods",)),), f"token-of-{verb}")
        for verb in ("list", "watch")
    ]
    with kube(users=users) as (_, ask):
        for path, verb, other in (
            (PODS, "list", "watch"),
            (f"{PODS}?watch=true&timeoutSeconds=1", "watch", "list"),
        ):
            refused = ask("GET", path, Authorization=f"Bearer token-of-{other}")
            assert refused.status == 403
            assert f'cannot {verb} resource "pods"' in refused.body["message"]
            assert ask("GET", path, Authorization=f"Bearer token-of-{verb}").status == 200


@pytest.mark.parametrize("part", ["exec", "attach", "portforward", "ephemeralcontainers"])
def test_the_verb_on_a_part_of_a_pod_is_that_of_the_method(part: str) -> None:
    """Who execs by websocket asks with GET: `get`; by SPDY with POST: `create`."""
    path = f"{PODS}/auto-pod-0/{part}"
    with kube(users=USERS) as (_, ask):
        for method, verb in (("GET", "get"), ("POST", "create"), ("PATCH", "patch")):
            refused = ask(method, path, {}, Authorization=bearer(ANN))
            assert refused.status == 403
            assert f'cannot {verb} resource "pods/{part}"' in refused.body["message"]


def test_who_may_write_roles_may_not_become_administrator() -> None:
    """Escalation is refused over HTTP, too, also by PATCH and by server-side apply."""
    with kube(users=USERS) as (_, ask):
        grant(ask, "admin", name="ann")
        roles = f"{RBAC}/namespaces/default/roles"
        pods = {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}
        role = {"metadata": {"name": "r"}, "rules": [pods]}
        assert ask("POST", roles, role, Authorization=bearer(ANN)).status == 201
        everything = {"rules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]}
        merge = "application/merge-patch+json"
        refused = ask("PATCH", f"{roles}/r", everything, merge, Authorization=bearer(ANN))
        assert refused.status == 403
        assert (
            "is attempting to grant RBAC permissions not currently held" in refused.body["message"]
        )
        broken = {"metadata": {"name": "b"}, "rules": "all"}
        assert ask("POST", roles, broken, Authorization=bearer(ANN)).status == 400


def token_for(audience: str, ask: Kube) -> str:
    """A token of the account `default` that another server accepts."""
    body = {"spec": {"audiences": [audience]}}
    return str(ask("POST", TOKEN, body, Authorization=bearer(BOSS)).body["status"]["token"])


def test_a_service_account_is_a_user() -> None:
    """By the token of a TokenRequest; it does what its roles allow."""
    with kube(users=USERS) as (_, ask):
        reply = ask("POST", TOKEN, {}, Authorization=bearer(BOSS))
        assert (reply.status, reply.body["kind"]) == (201, "TokenRequest")
        token = reply.body["status"]["token"]
        who = ask("POST", f"{AUTHENTICATION}/selfsubjectreviews", {}, Authorization=bearer(token))
        assert who.body["status"]["userInfo"]["username"] == "system:serviceaccount:default:default"
        assert ask("GET", PODS, Authorization=bearer(token)).status == 403
        grant(ask, "view", kind="ServiceAccount", name="default", namespace="default")
        assert ask("GET", PODS, Authorization=bearer(token)).status == 200
        assert ask("GET", PODS, Authorization=bearer(f"{token}x")).status == 401
        review = {"spec": {"token": token}}
        path = f"{AUTHENTICATION}/tokenreviews"
        assert ask("POST", path, review, Authorization=bearer(BOSS)).body["status"]["authenticated"]
        for token, status in (
            ("of-nobody", {"user": {}}),
            (
                token_for("other", ask),
                {
                    "error": 'token audiences ["other"] is invalid for the target audiences '
                    '["https://kubernetes.default.svc.cluster.local"]',
                    "user": {},
                },
            ),
        ):
            review = {"spec": {"token": token}}
            reply = ask("POST", path, review, Authorization=bearer(BOSS))
            assert reply.body["status"] == status  # without `authenticated`, which is false
        assert ask("POST", TOKEN, {}, Authorization=bearer(ANN)).status == 403
        assert ask("GET", TOKEN, Authorization=bearer(BOSS)).status == 405


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({"Impersonate-User": "ann"}, 200, ""),
        (
            {"Impersonate-User": "ann", "Impersonate-Group": "system:masters"},
            403,
            'groups "system:masters" is forbidden: User "imp" cannot impersonate resource "groups" '
            'in API group "" at the cluster scope',
        ),
        (
            {"Impersonate-User": "ann", "Impersonate-Uid": "7"},
            403,
            'uids.authentication.k8s.io "7" is forbidden: User "imp" cannot impersonate resource '
            '"uids" in API group "authentication.k8s.io" at the cluster scope',
        ),
        (
            {"Impersonate-User": "ann", "Impersonate-Extra-scopes": "all"},
            403,
            'userextras.authentication.k8s.io "all" is forbidden: User "imp" cannot impersonate '
            'resource "userextras/scopes" in API group "authentication.k8s.io" at the cluster '
            "scope",
        ),
        (
            {"Impersonate-User": "system:serviceaccount:default:default"},
            403,
            'serviceaccounts "default" is forbidden: User "imp" cannot impersonate resource '
            '"serviceaccounts" in API group "" in the namespace "default"',
        ),
        (
            {"Impersonate-Group": "system:masters"},
            400,
            "requested groups, uid or extra without impersonating a user",
        ),
    ],
)
def test_each_part_of_an_identity_is_asked_for(
    headers: dict[str, str], status: int, message: str
) -> None:
    """Who may impersonate users may not take groups, uids, extras or accounts with them."""
    with kube(users=USERS) as (_, ask):
        reply = ask("GET", "/apis", Authorization=bearer(IMPERSONATOR), **headers)
        assert reply.status == status
        if message:
            assert reply.body["message"] == message


def test_an_administrator_acts_as_anybody() -> None:
    """Also on an open server; the identity is the headers', not the administrator's."""
    with kube() as (_, ask):
        headers = {"Impersonate-User": "eve", "Impersonate-Group": "devs", "Impersonate-Uid": "7"}
        path = f"{AUTHENTICATION}/selfsubjectreviews"
        who = ask("POST", path, {}, **headers).body["status"]["userInfo"]
        assert (who["username"], who["uid"]) == ("eve", "7")
        assert who["groups"] == ["devs", "system:authenticated"]
        assert ask("GET", PODS, **headers).status == 403
        headers = {"Impersonate-User": ADMIN.name, "Impersonate-Group": "system:masters"}
        assert ask("GET", PODS, **headers).status == 200


def test_reviews_say_what_upstreams_say() -> None:
    """allowed with its reason; groups count; malformed reviews are invalid."""
    with kube(users=USERS) as (_, ask):
        grant(ask, "view", kind="Group", name="devs")
        attributes = {"verb": "list", "resource": "pods", "namespace": "default"}
        spec: dict[str, Any] = {"resourceAttributes": attributes, "user": "x", "groups": ["devs"]}
        path = f"{AUTHORIZATION}/subjectaccessreviews"
        status = ask("POST", path, {"spec": spec}, Authorization=bearer(BOSS)).body["status"]
        assert status == {
            "allowed": True,
            "reason": 'RBAC: allowed by RoleBinding "view-devs/default" of ClusterRole "view" to '
            'Group "devs"',
        }
        assert ask("POST", path, {"spec": spec}, Authorization=bearer(ANN)).status == 403
        for broken, text in (
            ({"resourceAttributes": attributes}, "at least one of user or group must be specified"),
            ({"user": "x"}, "exactly one of nonResourceAttributes or resourceAttributes"),
        ):
            refused = ask("POST", path, {"spec": broken}, Authorization=bearer(BOSS))
            assert refused.status == 422
            assert text in refused.body["message"]
        local = f"{AUTHORIZATION}/namespaces/kube-system/localsubjectaccessreviews"
        refused = ask("POST", local, {"spec": spec}, Authorization=bearer(BOSS))
        assert "must match metadata.namespace" in refused.body["message"]
        rules = ask(
            "POST",
            f"{AUTHORIZATION}/selfsubjectrulesreviews",
            {"spec": {"namespace": "default"}},
            Authorization=bearer(ANN),
        ).body["status"]
        assert rules["incomplete"] is False
        assert {"verbs": ["create"], "apiGroups": ["authentication.k8s.io"]}.items() <= (
            rules["resourceRules"][1].items()
        )


# -- kubectl ---------------------------------------------------------------------------------------


@pytest.mark.skipif(not VERSIONS, reason="there is no kubectl in PATH, and none in $KUBECTL")
@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no program openssl")
@pytest.mark.parametrize("version", USUAL)
def test_what_kubectl_does_with_roles_and_accounts(version: str, tmp_path: Path) -> None:
    """create role, rolebinding, token; auth can-i, whoami, reconcile; as ann, and as an account."""
    with Cluster(nodes=1, seed=1, clock="live", speed=20) as cluster:
        server = cluster.serve(users=USERS, tls=True)
        files = {user.name: tmp_path / user.name for user in USERS}
        for name, file in files.items():
            server.kubeconfig(file, user=name)
        run = Kubectl(VERSIONS[version], version, server.url, tmp_path)
        boss, ann = (["--kubeconfig", str(files[name])] for name in ("boss", "ann"))
        assert "not found" not in run.ok("get", "sa", "default", *boss)
        assert run("auth", "can-i", "list", "pods", *ann).out.strip() == "no"
        run.ok("create", "role", "reader", "--verb=get,list", "--resource=pods,pods/log", *boss)
        run.ok("create", "rolebinding", "reader", "--role=reader", "--user=ann", *boss)
        assert run.ok("auth", "can-i", "list", "pods", *ann).strip() == "yes"
        listed = run.ok("auth", "can-i", "--list", *ann)
        assert "pods/log" in listed
        assert "selfsubjectaccessreviews.authorization.k8s.io" in listed
        refused = run("get", "nodes", *ann)
        assert refused.err.strip() == (
            'Error from server (Forbidden): nodes is forbidden: User "ann" cannot list resource '
            '"nodes" in API group "" at the cluster scope'
        )
        run.ok("create", "clusterrole", "urls", "--verb=get", "--non-resource-url=/logs/*", *boss)
        assert "ClusterRole/urls" in run.ok(
            "create", "clusterrolebinding", "urls", "--clusterrole=urls", "--group=devs", *boss
        ) + run.ok("get", "clusterrolebinding", "urls", *boss)
        assert "/logs/*" in run.ok("describe", "clusterrole", "urls", *boss)
        token = run.ok("create", "token", "default", *boss).strip()
        as_account = [*boss, f"--token={token}"]
        if run.version >= (1, 28):  # 1.27 asks versions of the API that are gone
            whoami = run.ok("auth", "whoami", *as_account)
            assert "system:serviceaccount:default:default" in whoami
        assert run("get", "pods", *as_account).code == 1
        manifest = json.dumps(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": "robots", "namespace": "default"},
                "roleRef": {
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": "view",
                },
                "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "default"}],
            }
        )
        assert "reconciled" in run.ok("auth", "reconcile", "-f", "-", *boss, stdin=manifest)
        run.ok("get", "pods", *as_account)
        assert (
            run("create", "token", "ghost", *boss)
            .err.strip()
            .endswith('serviceaccounts "ghost" not found')
        )

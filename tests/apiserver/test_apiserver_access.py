"""Roles and bindings: their rules, what they allow, who may grant what; accounts and tokens.

Expected values are those of Kubernetes 1.34: pkg/apis/rbac/validation, pkg/registry/rbac,
plugin/pkg/auth/authorizer/rbac, plugin/pkg/admission/serviceaccount, pkg/serviceaccount.
"""

from __future__ import annotations

import json
from base64 import b64decode, urlsafe_b64decode
from typing import Any

import pytest
from api_builders import a_pod

from kubesim import Cluster
from kubesim.apiserver import KubeAPI
from kubesim.apiserver.access.attributes import (
    ADMIN,
    RequestAttributes,
    Rule,
    User,
    account_user,
    requested_by,
    split_account,
)
from kubesim.apiserver.access.escalation import uncovered
from kubesim.apiserver.access.policy import bootstrap_policy
from kubesim.errors import BadRequest, Conflict, Forbidden, Invalid, NotFound

RBAC = "rbac.authorization.k8s.io"
ANN = User("ann", ("system:authenticated",))
MOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
READ_PODS = {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods"]}


def role(name: str, *rules: dict[str, Any], kind: str = "Role", **fields: Any) -> dict[str, Any]:
    """A role with these rules."""
    return {"kind": kind, "metadata": {"name": name}, "rules": list(rules), **fields}


def binding(
    name: str, to: str, *subjects: dict[str, str], kind: str = "RoleBinding", namespace: str = ""
) -> dict[str, Any]:
    """A binding of a role, as ``Kind/name``."""
    role_kind, _, role_name = to.partition("/")
    document: dict[str, Any] = {
        "kind": kind,
        "metadata": {"name": name},
        "roleRef": {"kind": role_kind, "name": role_name},
        "subjects": list(subjects),
    }
    if namespace:
        document["metadata"]["namespace"] = namespace
    return document


def user(name: str) -> dict[str, str]:
    """A subject."""
    return {"kind": "User", "name": name}


# -- the kinds -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "field", "message"),
    [
        (
            role("r", {"apiGroups": [""], "resources": ["pods"]}),
            "rules[0].verbs",
            "Required value: verbs must contain at least one value",
        ),
        (
            role("r", {"verbs": ["get"], "resources": ["pods"]}),
            "rules[0].apiGroups",
            "Required value: resource rules must supply at least one api group",
        ),
        (
            role("r", {"verbs": ["get"], "apiGroups": [""]}),
            "rules[0].resources",
            "Required value: resource rules must supply at least one resource",
        ),
        (
            role("r", {"verbs": ["get"], "nonResourceURLs": ["/x"]}),
            "rules[0].nonResourceURLs",
            'Invalid value: ["/x"]: namespaced rules cannot apply to non-resource URLs',
        ),
        (
            role("r", {**READ_PODS, "nonResourceURLs": ["/x"]}, kind="ClusterRole"),
            "rules[0].nonResourceURLs",
            'Invalid value: ["/x"]: rules cannot apply to both regular resources and non-resource '
            "URLs",
        ),
        (
            role("r", kind="ClusterRole", aggregationRule={}),
            "aggregationRule.clusterRoleSelectors",
            "Required value: at least one clusterRoleSelector required if aggregationRule is "
            "non-nil",
        ),
        (role("a/b"), "metadata.name", "Invalid value: \"a/b\": may not contain '/'"),
        (
            binding("b", "Thing/x"),
            "roleRef.kind",
            'Unsupported value: "Thing": supported values: "Role", "ClusterRole"',
        ),
        (
            binding("b", "Role/x", kind="ClusterRoleBinding"),
            "roleRef.kind",
            'Unsupported value: "Role": supported values: "ClusterRole"',
        ),
        (binding("b", "Role/"), "roleRef.name", "Required value"),
        (
            binding("b", "Role/x", {"kind": "Robot", "name": "r"}),
            "subjects[0].kind",
            'Unsupported value: "Robot": supported values: "ServiceAccount", "User", "Group"',
        ),
        (
            binding("b", "ClusterRole/x", {"kind": "ServiceAccount", "name": "r"})
            | {"kind": "ClusterRoleBinding"},
            "subjects[0].namespace",
            "Required value",
        ),
        (
            binding("b", "Role/x", {"kind": "User", "name": "u", "apiGroup": "apps"}),
            "subjects[0].apiGroup",
            f'Unsupported value: "apps": supported values: "{RBAC}"',
        ),
    ],
)
def test_what_the_real_server_refuses_of_roles_is_refused(
    api: KubeAPI, document: dict[str, Any], field: str, message: str
) -> None:
    """The field and the text are upstream's."""
    with pytest.raises(Invalid) as refused:
        api.create(document)
    assert (field, message) in [(cause.field, cause.message) for cause in refused.value.causes]


def test_names_may_hold_colons_and_defaults_are_set(api: KubeAPI) -> None:
    """As the system's own roles; API groups of role and subjects, and absent rules, are shown."""
    created = api.create(role("system:My:role", kind="ClusterRole"))
    assert created["rules"] is None  # the store keeps no empty list, as protobuf
    assert api.get("ClusterRole", "system:My:role")["rules"] is None
    bound = api.create(
        binding("b", "ClusterRole/view", user("ann"), {"kind": "Group", "name": "g"})
    )
    assert bound["roleRef"] == {"apiGroup": RBAC, "kind": "ClusterRole", "name": "view"}
    assert [subject["apiGroup"] for subject in bound["subjects"]] == [RBAC, RBAC]
    bound["roleRef"]["name"] = "edit"
    with pytest.raises(Invalid, match="cannot change roleRef"):
        api.update(bound)


# -- what is allowed -------------------------------------------------------------------------------


def test_bindings_allow_what_their_roles_say(api: KubeAPI) -> None:
    """Each in its scope; the reason names the binding as upstream does."""
    get = RequestAttributes("get", "", "pods", "default", "a")
    elsewhere, everywhere = get._replace(namespace="kube-system"), get._replace(namespace="")
    assert not api.access.decide(ANN, get).allowed
    api.create(role("reader", READ_PODS))
    api.create(binding("readers", "Role/reader", user("ann")))
    decision = api.access.decide(ANN, get)
    assert decision.allowed
    assert decision.reason == (
        'RBAC: allowed by RoleBinding "readers/default" of Role "reader" to User "ann"'
    )
    assert not api.access.decide(ANN, elsewhere).allowed
    assert not api.access.decide(ANN, get._replace(resource="pods/log")).allowed
    robot = {"kind": "ServiceAccount", "name": "robot", "namespace": "default"}
    api.create(binding("all", "ClusterRole/view", robot, kind="ClusterRoleBinding"))
    decision = api.access.decide(account_user("default", "robot"), everywhere)
    assert decision.reason == (
        'RBAC: allowed by ClusterRoleBinding "all" of ClusterRole "view" to ServiceAccount '
        '"robot/default"'
    )
    assert not api.access.decide(account_user("kube-system", "robot"), everywhere).allowed
    assert api.access.decide(User("x", ("system:masters",)), everywhere).allowed
    assert api.access.decide(
        User("x", ("system:monitoring",)), RequestAttributes("get", path="/metrics")
    ).allowed


def test_a_binding_of_no_role_is_named(api: KubeAPI) -> None:
    """The refusal says which role is missing, once."""
    for name in ("a", "b"):
        api.create(binding(name, "ClusterRole/ghost", user("ann"), kind="ClusterRoleBinding"))
    with pytest.raises(Forbidden) as refused:
        api.access.require(ANN, RequestAttributes("list", "apps", "deployments", "shop"))
    assert refused.value.message == (
        'deployments.apps is forbidden: User "ann" cannot list resource "deployments" in API group '
        f'"apps" in the namespace "shop": RBAC: clusterrole.{RBAC} "ghost" not found'
    )


@pytest.mark.parametrize(
    ("rule", "attempt", "allowed"),
    [
        (Rule(("*",), ("*",), ("*",)), ("delete", "apps", "deployments/scale"), True),
        (Rule(("get",), ("",), ("pods",)), ("get", "", "pods/log"), False),
        (Rule(("get",), ("*",), ("*/scale",)), ("get", "apps", "deployments/scale"), True),
        (Rule(("get",), ("*",), ("*/scale",)), ("get", "apps", "deployments"), False),
        (Rule(("get",), ("",), ("pods",), names=("a",)), ("get", "", "pods", "", "a"), True),
        (Rule(("get",), ("",), ("pods",), names=("a",)), ("list", "", "pods"), False),
    ],
)
def test_a_rule_matches_as_upstreams_helpers_do(
    rule: Rule, attempt: tuple[str, ...], allowed: bool
) -> None:
    """Verb, group, resource with its subresource, and name."""
    assert rule.allows(RequestAttributes(*attempt)) is allowed


def test_the_system_has_its_roles_from_the_start(api: KubeAPI) -> None:
    """admin contains edit, which contains view; only admin grants roles; view reads no Secrets."""
    admin, edit, view = (
        [
            Rule(tuple(r["verbs"]), tuple(r["apiGroups"]), tuple(r["resources"]))
            for r in api.get("ClusterRole", name)["rules"]
        ]
        for name in ("admin", "edit", "view")
    )
    assert not uncovered(admin, edit)
    assert not uncovered(edit, view)
    roles = RequestAttributes("create", RBAC, "roles", "default")
    assert any(rule.allows(roles) for rule in admin)
    assert not any(rule.allows(roles) for rule in edit)
    secrets = RequestAttributes("get", "", "secrets", "default")
    assert any(rule.allows(secrets) for rule in edit)
    assert not any(rule.allows(secrets) for rule in view)
    labels = api.get("ClusterRole", "view")["metadata"]["labels"]
    assert labels == {
        "kubernetes.io/bootstrapping": "rbac-defaults",
        f"{RBAC}/aggregate-to-edit": "true",
    }
    scheduler = User("system:kube-scheduler", ("system:authenticated",))
    bind = RequestAttributes("create", "", "pods/binding", "default", "web")
    assert api.access.decide(scheduler, bind).allowed
    for each in bootstrap_policy():  # what every cluster has is valid, too
        stored = api.get(each.kind, each.name, each.namespace or None)
        api.update(stored)


def test_aggregated_roles_follow_their_parts() -> None:
    """A role of an operator becomes a part of edit, and so of admin."""
    widgets = {"verbs": ["get"], "apiGroups": ["example.com"], "resources": ["widgets"]}
    with Cluster(nodes=0, hpa=False) as cluster:
        part = role("widgets", widgets, kind="ClusterRole")
        part["metadata"]["labels"] = {f"{RBAC}/aggregate-to-edit": "true"}
        cluster.api.create(part)
        cluster.sleep(1)
        for name, expected in (("admin", True), ("edit", True), ("view", False)):
            assert (widgets in cluster.api.get("ClusterRole", name)["rules"]) is expected
        cluster.api.delete("ClusterRole", "widgets")
        cluster.sleep(1)
        assert widgets not in cluster.api.get("ClusterRole", "admin")["rules"]


# -- who may grant what ----------------------------------------------------------------------------


def test_nobody_grants_more_than_they_hold(api: KubeAPI) -> None:
    """Roles and bindings, at creation and at update; the message lists what is missing."""
    api.create(binding("a", "ClusterRole/admin", user("ann")))
    with requested_by(ANN):
        api.create(role("reader", READ_PODS))
        with pytest.raises(Forbidden) as refused:
            api.create(role("nodes", {**READ_PODS, "resources": ["nodes"]}))
        assert refused.value.message == (
            f'roles.{RBAC} "nodes" is forbidden: user "ann" (groups=["system:authenticated"]) is '
            "attempting to grant RBAC permissions not currently held:\n"
            '{APIGroups:[""], Resources:["nodes"], Verbs:["get" "list"]}'
        )
        with pytest.raises(Forbidden, match=r'\{NonResourceURLs:\["\*"\], Verbs:\["\*"\]\}'):
            api.create(binding("boss", "ClusterRole/cluster-admin", user("ann")))
        api.create(binding("bob", "ClusterRole/view", user("bob")))
        with pytest.raises(NotFound, match=f'clusterrole.{RBAC} "ghost" not found'):
            api.create(binding("ghost", "ClusterRole/ghost", user("bob")))
        grown = api.get("Role", "reader")
        grown["rules"][0]["resources"] = ["nodes"]
        with pytest.raises(Forbidden, match="not currently held"):
            api.update(grown)
    api.create(role("nodes", {**READ_PODS, "resources": ["nodes"]}))  # Python may all


@pytest.mark.parametrize(
    ("verb", "resource", "names"), [("escalate", "roles", ()), ("bind", "clusterroles", ("edit",))]
)
def test_escalate_and_bind_are_verbs(
    api: KubeAPI, verb: str, resource: str, names: tuple[str, ...]
) -> None:
    """With them, a user grants what they do not hold."""
    rule = {"verbs": [verb], "apiGroups": [RBAC], "resources": [resource]}
    api.create(role("may", rule | ({"resourceNames": list(names)} if names else {})))
    api.create(binding("may", "Role/may", user("ann")))
    with requested_by(ANN):
        if verb == "escalate":
            api.create(role("nodes", {**READ_PODS, "resources": ["nodes"]}))
        else:
            api.create(binding("e", "ClusterRole/edit", user("bob")))
            with pytest.raises(Forbidden, match="not currently held"):
                api.create(binding("a", "ClusterRole/admin", user("bob")))


def test_only_an_administrator_aggregates(api: KubeAPI) -> None:
    """An aggregationRule can gather anything."""
    selector = {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}
    with requested_by(ANN), pytest.raises(Forbidden, match="must have cluster-admin privileges"):
        api.create(role("agg", kind="ClusterRole", aggregationRule=selector))
    with requested_by(ADMIN):
        api.create(role("agg", kind="ClusterRole", aggregationRule=selector))


# -- accounts --------------------------------------------------------------------------------------


@pytest.fixture
def cluster() -> Any:
    """A cluster without nodes."""
    with Cluster(nodes=0, hpa=False, seed=3) as made:
        yield made


def test_every_namespace_has_an_account_and_the_certificate(cluster: Cluster) -> None:
    """From the start; in a new namespace at once; also if somebody deletes them."""
    api = cluster.api
    accounts = [account["metadata"]["namespace"] for account in api.snapshot("ServiceAccount")[0]]
    assert accounts == ["default", "kube-node-lease", "kube-public", "kube-system"]
    api.create({"kind": "Namespace", "metadata": {"name": "shop"}})
    cluster.sleep(0.1)
    assert api.get("ServiceAccount", "default", "shop")["metadata"]["name"] == "default"
    certificate = api.get("ConfigMap", "kube-root-ca.crt", "shop")
    assert certificate["data"]["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")
    assert "kubernetes.io/description" in certificate["metadata"]["annotations"]
    api.delete("ServiceAccount", "default", "shop")
    api.patch("ConfigMap", "kube-root-ca.crt", {"data": {"ca.crt": "mine"}}, "shop")
    cluster.sleep(0.1)
    assert api.peek("ServiceAccount", "default", "shop") is not None
    assert api.get("ConfigMap", "kube-root-ca.crt", "shop")["data"] == certificate["data"]
    api.delete("Namespace", "shop")
    assert cluster.wait_until(lambda: api.peek("Namespace", "shop") is None, 30)
    assert api.peek("ServiceAccount", "default", "shop") is None


def test_a_pod_runs_as_an_account_and_mounts_its_token(cluster: Cluster) -> None:
    """The volume is upstream's, and each container mounts it."""
    plain = a_pod("plain", initContainers=[{"name": "first", "image": "busybox"}])
    spec = cluster.api.create(plain)["spec"]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
    (volume,) = spec["volumes"]
    assert volume["name"].startswith("kube-api-access-")
    assert len(volume["name"]) == len("kube-api-access-") + 5
    assert [next(iter(source)) for source in volume["projected"]["sources"]] == [
        "serviceAccountToken",
        "configMap",
        "downwardAPI",
    ]
    assert volume["projected"]["defaultMode"] == 420
    mount = {"name": volume["name"], "readOnly": True, "mountPath": MOUNT}
    for container in (*spec["containers"], *spec["initContainers"]):
        assert container["volumeMounts"] == [mount]
    again = cluster.api.get("Pod", "plain")
    del again["metadata"]["resourceVersion"]
    cluster.api.delete("Pod", "plain", grace_period_seconds=0)
    assert cluster.api.create(again)["spec"]["volumes"] == [volume]  # it is not added twice


def test_tokens_are_mounted_unless_pod_or_account_or_container_says_no(cluster: Cluster) -> None:
    """The pod decides before its account; a container may mount something else there."""
    api = cluster.api
    api.create(
        {
            "kind": "ServiceAccount",
            "metadata": {"name": "quiet"},
            "automountServiceAccountToken": False,
            "imagePullSecrets": [{"name": "registry"}],
        }
    )
    assert "volumes" not in api.create(a_pod("a", automountServiceAccountToken=False))["spec"]
    quiet = api.create(a_pod("b", serviceAccountName="quiet"))["spec"]
    assert "volumes" not in quiet
    assert quiet["imagePullSecrets"] == [{"name": "registry"}]
    loud = a_pod("c", serviceAccountName="quiet", automountServiceAccountToken=True)
    assert len(api.create(loud)["spec"]["volumes"]) == 1
    own = a_pod("d", volumes=[{"name": "own", "emptyDir": {}}])
    own["spec"]["containers"][0]["volumeMounts"] = [{"name": "own", "mountPath": MOUNT}]
    assert api.create(own)["spec"]["volumes"] == own["spec"]["volumes"]


def test_an_unknown_account_is_refused(cluster: Cluster) -> None:
    """The text is upstream's; the account of a young namespace is on the way."""
    api = cluster.api
    with pytest.raises(Forbidden) as refused:
        api.create(a_pod("web", serviceAccountName="ghost"))
    assert refused.value.message == (
        'pods "web" is forbidden: error looking up service account default/ghost: serviceaccount '
        '"ghost" not found'
    )
    api.create({"kind": "Namespace", "metadata": {"name": "shop"}})
    pod = a_pod("web")
    api.create({**pod, "metadata": {**pod["metadata"], "namespace": "shop"}})
    with pytest.raises(NotFound, match='namespaces "nowhere" not found'):
        api.create({**pod, "metadata": {**pod["metadata"], "namespace": "nowhere"}})
    cluster.sleep(0.1)
    cluster.controller("serviceaccount-controller").crash()
    api.delete("ServiceAccount", "default", "shop")
    cluster.sleep(5)
    with pytest.raises(Forbidden, match='serviceaccount "default" not found'):
        api.create({**pod, "metadata": {"name": "late", "namespace": "shop"}})


def test_an_account_may_enforce_its_list_of_secrets(cluster: Cluster) -> None:
    """kubernetes.io/enforce-mountable-secrets."""
    api = cluster.api
    annotations = {"kubernetes.io/enforce-mountable-secrets": "true"}
    api.create(
        {
            "kind": "ServiceAccount",
            "metadata": {"name": "strict", "annotations": annotations},
            "secrets": [{"name": "listed"}],
        }
    )
    volume = {"name": "v", "secret": {"secretName": "listed"}}
    api.create(a_pod("a", serviceAccountName="strict", volumes=[volume]))
    volume = {"name": "v", "secret": {"secretName": "other"}}
    with pytest.raises(Forbidden) as refused:
        api.create(a_pod("b", serviceAccountName="strict", volumes=[volume]))
    assert refused.value.message == (
        'pods "b" is forbidden: volume with secret.secretName="other" is not allowed because '
        "service account strict does not reference that secret"
    )


def test_a_mirror_pod_has_no_account(cluster: Cluster) -> None:
    """It stands for a static pod, whose spec must stay as it is."""
    mirror = a_pod("static")
    mirror["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "x"}
    spec = cluster.api.create(mirror)["spec"]
    assert not {"serviceAccountName", "volumes"} & set(spec)
    mirror["metadata"]["name"], mirror["spec"]["serviceAccountName"] = "other", "default"
    with pytest.raises(Forbidden, match="a mirror pod may not reference service accounts"):
        cluster.api.create(mirror)


def test_pods_of_one_workload_are_one_class_for_the_scheduler(cluster: Cluster) -> None:
    """The random name of the volume does not tell them apart."""
    from kubesim.scheduler.framework.podinfo import class_of

    first, second = (cluster.api.create(a_pod(name)) for name in ("a", "b"))
    assert first["spec"]["volumes"] != second["spec"]["volumes"]
    assert class_of(first) == class_of(second)


def test_the_old_name_of_the_field_is_kept(api: KubeAPI) -> None:
    """serviceAccount and serviceAccountName are always the same."""
    assert api.create(a_pod("a", serviceAccount="x"))["spec"]["serviceAccountName"] == "x"


# -- tokens ----------------------------------------------------------------------------------------


def claims_of(token: str) -> dict[str, Any]:
    """The payload of a token."""
    payload = token.split(".")[1]
    return dict(json.loads(urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def test_a_token_is_its_account_for_a_while(cluster: Cluster) -> None:
    """Until it expires, or its account is gone; a forged one is nobody's."""
    tokens = cluster.api.tokens
    answer = tokens.issue("default", "default", {"spec": {"expirationSeconds": 600}})
    token = answer["status"]["token"]
    claims = claims_of(token)
    assert claims["sub"] == "system:serviceaccount:default:default"
    assert claims["exp"] - claims["iat"] == 600
    owner = tokens.authenticate(token)
    assert owner is not None
    assert (owner.name, owner.groups) == (
        "system:serviceaccount:default:default",
        ("system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"),
    )
    assert split_account(owner.name) == ("default", "default")
    for forged in ("", "a.b.c", token[:-2], f"{token}x", token.replace(".", ".e", 1)):
        assert tokens.authenticate(forged) is None
    assert tokens.authenticate(token, ("vault",)) is None
    with Cluster(nodes=0, hpa=False, seed=3) as twin:  # the seed does not tell the key
        assert twin.api.tokens.authenticate(token) is None
    cluster.sleep(599)
    assert tokens.authenticate(token) is not None
    cluster.sleep(2)
    assert tokens.authenticate(token) is None
    token = tokens.issue("default", "default", {})["status"]["token"]
    cluster.api.delete("ServiceAccount", "default")
    cluster.sleep(1)  # there is another account of that name
    assert tokens.authenticate(token) is None


def test_a_token_may_be_bound_to_a_pod(cluster: Cluster) -> None:
    """It ends with the pod, and says whose it is."""
    tokens = cluster.api.tokens
    pod = cluster.api.create(a_pod("web"))
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "web"}
    token = tokens.issue("default", "default", {"spec": {"boundObjectRef": bound}})["status"][
        "token"
    ]
    owner = tokens.authenticate(token)
    assert owner is not None
    assert dict(owner.extra)["authentication.kubernetes.io/pod-name"] == ("web",)
    with pytest.raises(Conflict, match="does not match the UID in record"):
        tokens.issue("default", "default", {"spec": {"boundObjectRef": {**bound, "uid": "x"}}})
    with pytest.raises(BadRequest, match="cannot bind token"):
        tokens.issue("default", "default", {"spec": {"boundObjectRef": {"kind": "Service"}}})
    cluster.api.delete("Pod", "web", grace_period_seconds=0, uid=pod["metadata"]["uid"])
    assert tokens.authenticate(token) is None


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        (60, "may not specify a duration less than 10 minutes"),
        (2**33, "may not specify a duration larger than 2\\^32 seconds"),
    ],
)
def test_a_token_lives_at_least_ten_minutes(cluster: Cluster, seconds: int, message: str) -> None:
    """And at most 2^32 seconds."""
    with pytest.raises(Invalid, match=message):
        cluster.api.tokens.issue("default", "default", {"spec": {"expirationSeconds": seconds}})
    with pytest.raises(NotFound, match='serviceaccounts "ghost" not found'):
        cluster.api.tokens.issue("default", "ghost", {})


def test_a_secret_may_ask_for_a_token_without_an_end(cluster: Cluster) -> None:
    """It is filled, is its account, and goes with it; without an account's name it is invalid."""
    api = cluster.api
    secret: dict[str, Any] = {
        "kind": "Secret",
        "type": "kubernetes.io/service-account-token",
        "metadata": {"name": "token"},
    }
    with pytest.raises(Invalid) as refused:
        api.create(secret)
    assert refused.value.causes[0].field == (
        "metadata.annotations[kubernetes.io/service-account.name]"
    )
    api.create({"kind": "ServiceAccount", "metadata": {"name": "robot"}})
    secret["metadata"]["annotations"] = {"kubernetes.io/service-account.name": "robot"}
    api.create(secret)
    cluster.sleep(1)
    filled = api.get("Secret", "token")
    assert b64decode(filled["data"]["namespace"]) == b"default"
    assert b64decode(filled["data"]["ca.crt"]).startswith(b"-----BEGIN CERTIFICATE-----")
    uid = api.get("ServiceAccount", "robot")["metadata"]["uid"]
    assert filled["metadata"]["annotations"]["kubernetes.io/service-account.uid"] == uid
    token = b64decode(filled["data"]["token"]).decode()
    cluster.sleep(100_000)
    owner = api.tokens.authenticate(token)
    assert owner is not None
    assert owner.name == "system:serviceaccount:default:robot"
    api.delete("ServiceAccount", "robot")
    cluster.sleep(1)
    assert api.peek("Secret", "token") is None
    assert api.tokens.authenticate(token) is None

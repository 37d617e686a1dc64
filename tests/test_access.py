"""`explain("access/...")`: which binding allows something, and a way out that works."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from kubesim import Cluster
from kubesim.errors import BadRequest, NotFound


@pytest.fixture
def cluster() -> Any:
    """A cluster without nodes."""
    with Cluster(nodes=0, hpa=False) as made:
        yield made


def bind(cluster: Cluster, name: str, role: str, *, cluster_wide: bool = False) -> None:
    """Bind a ClusterRole to ann."""
    kind = "ClusterRoleBinding" if cluster_wide else "RoleBinding"
    cluster.api.create(
        {
            "kind": kind,
            "metadata": {"name": name},
            "roleRef": {"kind": "ClusterRole", "name": role},
            "subjects": [{"kind": "User", "name": "ann"}],
        }
    )


def test_the_binding_that_allows_is_named(cluster: Cluster) -> None:
    """With each binding that was asked before it."""
    bind(cluster, "viewers", "view")
    said = cluster.explain("access/ann get pods").latest
    assert said.verdict == "ann may get pods in namespace default"
    assert said.binding == 'RoleBinding "viewers/default" of ClusterRole "view" to User "ann"'
    assert said.data["allowed"] is True
    assert [step.result for step in said.steps][-1] == "allows it"
    assert "none of its rules matches" in str(said)


def test_a_missing_role_is_named(cluster: Cluster) -> None:
    """A binding of a role that does not exist gives nothing."""
    bind(cluster, "ghost", "ghost", cluster_wide=True)
    said = cluster.explain("access/ann delete nodes").latest
    assert 'clusterrole.rbac.authorization.k8s.io "ghost" not found' in said.binding
    assert said.verdict == "ann may not delete nodes"


def run(cluster: Cluster, command: str) -> None:
    """Do what `kubectl create role`, `clusterrole`, `rolebinding` or `clusterrolebinding` does."""
    words = shlex.split(command.removeprefix("kubectl create "))
    options = dict(word[2:].split("=", 1) for word in words if word.startswith("--"))
    namespace = words[words.index("-n") + 1] if "-n" in words else None
    kinds = {"role": "Role", "clusterrole": "ClusterRole", "rolebinding": "RoleBinding"}
    kind = kinds.get(words[0], "ClusterRoleBinding")
    document: dict[str, Any] = {"kind": kind, "metadata": {"name": words[1]}}
    if kind.endswith("Binding"):
        of = "Role" if "role" in options else "ClusterRole"
        name = options.get("role") or options["clusterrole"]
        document["roleRef"] = {"kind": of, "name": name}
        subject = {"kind": "User", "name": options.get("user")}
        if "serviceaccount" in options:
            where, name = options["serviceaccount"].split(":")
            subject = {"kind": "ServiceAccount", "name": name, "namespace": where}
        document["subjects"] = [subject]
    elif "non-resource-url" in options:
        urls = [options["non-resource-url"]]
        document["rules"] = [{"verbs": [options["verb"]], "nonResourceURLs": urls}]
    else:
        resource, _, sub = options["resource"].partition("/")
        plural, _, group = resource.partition(".")
        rule = {"apiGroups": [group], "resources": [f"{plural}/{sub}" if sub else plural]}
        document["rules"] = [{"verbs": [options["verb"]], **rule}]
    cluster.api.create(document, namespace=namespace)


@pytest.mark.parametrize(
    ("reference", "way_out"),
    [
        (
            "access/ann get pods",
            "kubectl create rolebinding NAME --clusterrole=view --user=ann -n default",
        ),
        (
            "access/ann delete deployments shop",
            "kubectl create rolebinding NAME --clusterrole=edit --user=ann -n shop",
        ),
        (
            "access/ann list pods *",
            "kubectl create clusterrolebinding NAME --clusterrole=view --user=ann",
        ),
        (
            "access/system:serviceaccount:shop:robot create roles shop",
            "kubectl create rolebinding NAME --clusterrole=admin --serviceaccount=shop:robot "
            "-n shop",
        ),
        (
            "access/ann update deployments/status",
            "kubectl create role NAME --verb=update --resource=deployments.apps/status -n default, "
            "then kubectl create rolebinding NAME --role=NAME --user=ann -n default",
        ),
        (
            "access/ann patch nodes/node-1",
            "kubectl create clusterrole NAME --verb=patch --resource=nodes, then kubectl create "
            "clusterrolebinding NAME --clusterrole=NAME --user=ann",
        ),
        (
            "access/ann get /metrics",
            "kubectl create clusterrole NAME --verb=get --non-resource-url=/metrics, then kubectl "
            "create clusterrolebinding NAME --clusterrole=NAME --user=ann",
        ),
    ],
)
def test_the_way_out_works(cluster: Cluster, reference: str, way_out: str) -> None:
    """What it proposes is tried: afterwards it is allowed."""
    cluster.api.create({"kind": "Namespace", "metadata": {"name": "shop"}})
    said = cluster.explain(reference).latest
    assert said.data["allowed"] is False
    assert said.would_change_if == f"an administrator ran: {way_out}"
    for command in way_out.split(", then "):
        run(cluster, command)
    assert cluster.explain(reference).latest.data["allowed"] is True


def test_a_malformed_reference_says_what_was_expected(cluster: Cluster) -> None:
    """Too few words, and a kind that does not exist."""
    with pytest.raises(BadRequest, match="does not say who does what"):
        cluster.explain("access/ann")
    with pytest.raises(NotFound, match="resource type"):
        cluster.explain("access/ann get unicorns")

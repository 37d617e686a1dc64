"""References: every form, every name of a kind, kinds with irregular plurals, custom kinds."""

from __future__ import annotations

import re
from typing import Any

import pytest

from kubesim import Cluster
from kubesim.apiserver.kubeapi import default_registry
from kubesim.apiserver.registry import Kind
from kubesim.ctl.rollout import Rollout
from kubesim.errors import BadRequest, NotFound
from kubesim.objects.references import Reference, parse_reference

LONG_HPA = "horizontalpodautoscaler/web"
REGISTRY = default_registry()
for policy in (
    Kind("NetworkPolicy", "networkpolicies", group="networking.k8s.io", short_names=("netpol",)),
    Kind("Endpoints", "endpoints", short_names=("ep",)),
):
    if policy.kind not in {kind.kind for kind in REGISTRY.kinds()}:
        REGISTRY.register(policy)


@pytest.mark.parametrize(
    ("reference", "kind", "namespace", "name", "shown"),
    [
        ("pod/web-0", "Pod", "default", "web-0", "pod/web-0"),
        ("po/default/web-0", "Pod", "default", "web-0", "pod/web-0"),
        ("Pods/shop/web-0", "Pod", "shop", "web-0", "pod/shop/web-0"),
        ("deployments.apps/web", "Deployment", "default", "web", "deployment/web"),
        ("deployment.apps/web", "Deployment", "default", "web", "deployment/web"),
        ("Deployment.apps/web", "Deployment", "default", "web", "deployment/web"),
        ("deploy.apps/web", "Deployment", "default", "web", "deployment/web"),
        ("deployments.v1.apps/web", "Deployment", "default", "web", "deployment/web"),
        ("statefulset.v1.apps/shop/db", "StatefulSet", "shop", "db", "statefulset/shop/db"),
        ("pods.v1./web-0", "Pod", "default", "web-0", "pod/web-0"),
        ("pods.metrics.k8s.io/web-0", "PodMetrics", "default", "web-0", "podmetrics/web-0"),
        ("pods.v1beta1.metrics.k8s.io/a", "PodMetrics", "default", "a", "podmetrics/a"),
        ("hpa.v1.autoscaling/web", "HorizontalPodAutoscaler", "default", "web", LONG_HPA),
        ("DEPLOY/web", "Deployment", "default", "web", "deployment/web"),
        ("ns/foo", "Namespace", "", "foo", "namespace/foo"),
        ("namespaces/foo", "Namespace", "", "foo", "namespace/foo"),
        ("no/node-1", "Node", "", "node-1", "node/node-1"),
        ("networkpolicies/shop/deny", "NetworkPolicy", "shop", "deny", "networkpolicy/shop/deny"),
        ("netpol/deny", "NetworkPolicy", "default", "deny", "networkpolicy/deny"),
        ("endpoints/web", "Endpoints", "default", "web", "endpoints/web"),
        ("ep/shop/web", "Endpoints", "shop", "web", "endpoints/shop/web"),
    ],
)
def test_a_reference_is_read_by_the_names_of_the_registry(
    reference: str, kind: str, namespace: str, name: str, shown: str
) -> None:
    """Short names, plurals, groups and upper case; the namespace is default or none."""
    parsed = parse_reference(reference, REGISTRY)
    assert parsed == Reference(kind, namespace, name)
    assert str(parsed) == shown
    assert parsed.key == (f"{namespace}/{name}" if namespace else name)


@pytest.mark.parametrize("reference", ["web", "", "/", "pod/", "/web", "pod//web", "a/b/c/d", 7])
def test_what_has_another_form_is_refused(reference: Any) -> None:
    """With the form that is expected, and an example."""
    with pytest.raises(BadRequest, match="is not a reference to an object") as caught:
        parse_reference(reference, REGISTRY)
    assert "kind/namespace/name" in caught.value.hint


def test_a_kind_without_namespace_takes_none_and_an_unknown_one_is_named() -> None:
    """Both messages say how to go on."""
    with pytest.raises(BadRequest, match="nodes are not in a namespace") as caught:
        parse_reference("node/default/node-1", REGISTRY)
    assert caught.value.hint == "write node/node-1"
    with pytest.raises(NotFound, match='resource type "thing"'):
        parse_reference("thing/web", REGISTRY)


@pytest.mark.parametrize(
    "kind", ["deployment.batch", "deployments.v2.apps", "deployments.v1", "pods.", ".apps"]
)
def test_a_kind_of_another_group_or_version_is_not_found(kind: str) -> None:
    with pytest.raises(NotFound, match=re.escape(f'resource type "{kind}"')):
        parse_reference(f"{kind}/web", REGISTRY)


def crd(plural: str, kind: str, short: str) -> dict[str, Any]:
    """A definition with a scale subresource."""
    scale = {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "kind": "CustomResourceDefinition",
        "apiVersion": "apiextensions.k8s.io/v1",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {
                "plural": plural,
                "singular": kind.lower(),
                "kind": kind,
                "shortNames": [short],
            },
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "subresources": {"scale": scale, "status": {}},
                    "schema": {"openAPIV3Schema": schema},
                }
            ],
        },
    }


def test_explain_trace_and_rollout_read_references_alike() -> None:
    """`ns/foo` is explained as well as traced, and a custom kind by its short name."""
    with Cluster(nodes=1, seed=1, hpa=False) as cluster:
        cluster.api.create({"kind": "Namespace", "metadata": {"name": "foo"}})
        cluster.api.create({"kind": "ConfigMap", "metadata": {"name": "kept", "namespace": "foo"}})
        cluster.sleep(1)
        cluster.api.delete("Namespace", "foo")
        cluster.sleep(30)
        assert cluster.explain("ns/foo").object == "namespace/foo"
        assert cluster.trace("ns/foo").root.object == "namespace/foo"
        cluster.api.create(crd("policies", "Policy", "pol"))
        made = {"kind": "Policy", "apiVersion": "example.com/v1", "metadata": {"name": "p"}}
        cluster.api.create({**made, "spec": {"replicas": 1}})
        assert cluster.trace("pol/p").root.name == "create policy/p"
        assert cluster.trace("policies.example.com/default/p").root.object == "policy/p"
        with pytest.raises(BadRequest, match="is not a reference to an object"):
            Rollout(cluster.api, "web")
        with pytest.raises(BadRequest, match="pods have no rollouts"):
            Rollout(cluster.api, "po/web")


def test_the_scaling_of_a_kind_with_an_irregular_plural_is_in_the_trace() -> None:
    """An HPA that scales a Policy (policies): its change leads to the new size."""
    with Cluster(nodes=1, seed=1, hpa=False) as cluster:
        cluster.api.create(crd("policies", "Policy", "pol"))
        cluster.api.create(
            {
                "kind": "Policy",
                "apiVersion": "example.com/v1",
                "metadata": {"name": "p"},
                "spec": {"replicas": 1},
            }
        )
        target = {"apiVersion": "example.com/v1", "kind": "Policy", "name": "p"}
        cluster.api.create(
            {
                "kind": "HorizontalPodAutoscaler",
                "apiVersion": "autoscaling/v2",
                "metadata": {"name": "p"},
                "spec": {"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 5},
            }
        )
        cluster.sleep(30)
        names = [span.name for span in cluster.trace("hpa/p").spans()]
        assert "policy/p: replicas 1 -> 3" in names


def test_decisions_about_what_is_no_object_are_found_by_their_name() -> None:
    """A zone, or a shadow policy in another namespace, is not a kind of the server."""
    from kubesim.client import Decision

    with Cluster(nodes=0, hpa=False) as cluster:
        for name in ("zone/default", "hpa-shadow/shop/web/mine", "hpa/shop/web"):
            cluster.decisions.record(Decision(0.0, 0, "test", name, "wait"))
            assert cluster.explain(name).object == name
        assert cluster.explain("horizontalpodautoscalers/shop/web").object == "hpa/shop/web"


@pytest.mark.parametrize(
    ("reference", "error", "message"),
    [
        ("nope/x", NotFound, 'resource type "nope"'),
        ("shop/web", NotFound, 'resource type "shop"'),
        ("a/b/c/d", BadRequest, "is not a reference to an object"),
        ("a//b", BadRequest, "is not a reference to an object"),
        ("zone//b", BadRequest, "is not a reference to an object"),
        ("zone", BadRequest, "is not a reference to an object"),
        ("pod/x", NotFound, "no decision about 'pod/x' has been recorded"),
        ("zone/x", NotFound, "no decision about 'zone/x' has been recorded"),
    ],
)
def test_explain_names_what_is_wrong_with_a_reference(
    reference: Any, error: type[Exception], message: str
) -> None:
    """A kind that the server does not have, a string of another form, or no decision."""
    with Cluster(nodes=0, hpa=False) as cluster, pytest.raises(error, match=message):
        cluster.explain(reference)


def test_explain_trace_and_rollout_take_the_names_that_apply_prints() -> None:
    """`kind.group/name`, also with a version."""
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "main", "image": "nginx"}]},
    }
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": template}
    with Cluster(nodes=1, seed=1, hpa=False) as cluster:
        cluster.api.create({"kind": "Deployment", "metadata": {"name": "web"}, "spec": spec})
        cluster.sleep(20)
        for name in ("deployment.apps/web", "deployments.v1.apps/web", "Deployment.apps/web"):
            assert cluster.explain(name).object == "deployment/web"
            assert cluster.trace(name).root.object == "deployment/web"
            assert "successfully rolled out" in cluster.rollout(name).status()

"""Ingress, IngressClass, NetworkPolicy, IPAddress, ServiceCIDR: defaults, rules, cells, warnings.

Source: pkg/apis/networking/validation/validation.go, pkg/apis/networking/v1/defaults.go,
pkg/printers/internalversion/printers.go.
"""

from __future__ import annotations

from typing import Any

import pytest
from kind_samples import BACKEND, INGRESS_RULE, NETWORKING, NETWORKING_SAMPLES, causes_of, sample

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.printers.table import table_for
from kubesim.errors import Invalid

Spec = dict[str, Any]
HOST = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters"
WILDCARD = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain"


def path(**fields: Any) -> Spec:
    """The spec of an Ingress with one path."""
    first: Spec = {"path": "/", "pathType": "Prefix", "backend": BACKEND, **fields}
    return {"rules": [{"http": {"paths": [{k: v for k, v in first.items() if v is not None}]}}]}


def service(**port: Any) -> Spec:
    """The spec of an Ingress with a default backend."""
    return {"defaultBackend": {"service": {"name": "web", "port": port}}}


def policy(**fields: Any) -> Spec:
    """The spec of a NetworkPolicy for all pods."""
    return {"podSelector": {}, **fields}


def allow(*ports: Spec, **peer: Any) -> Spec:
    """The spec of a NetworkPolicy with one rule."""
    return policy(ingress=[{"ports": list(ports), "from": [peer] if peer else []}])


def parameters(**fields: Any) -> Spec:
    """The spec of an IngressClass with parameters."""
    return {"controller": "a.io/b", "parameters": {"kind": "K", "name": "n", **fields}}


FIRST = "spec.rules[0].http.paths[0]"
PORT = "spec.ingress[0].ports[0]"
PEER = "spec.ingress[0].from[0]"
BLOCK = f"{PEER}.ipBlock"
ROWS: list[tuple[str, Spec, str, str]] = [
    ("Ingress", {}, "spec", "either `defaultBackend` or `rules` must be specified"),
    ("Ingress", path(pathType=None), f"{FIRST}.pathType", "pathType must be specified"),
    ("Ingress", path(pathType="Glob"), f"{FIRST}.pathType", 'Unsupported value: "Glob"'),
    ("Ingress", path(path="x"), f"{FIRST}.path", "must be an absolute path"),
    ("Ingress", path(path=None), f"{FIRST}.path", "must be an absolute path"),
    ("Ingress", path(path="/a//b"), f"{FIRST}.path", "must not contain '//'"),
    ("Ingress", path(path="/a/.."), f"{FIRST}.path", "cannot end with '/..'"),
    ("Ingress", path(backend={}), f"{FIRST}.backend", "resource or service backend is required"),
    ("Ingress", {"rules": [{"http": {"paths": []}}]}, "spec.rules[0].http.paths", "Required"),
    ("Ingress", {"rules": [{"host": "1.2.3.4"}]}, "spec.rules[0].host", "must be a DNS name, not"),
    ("Ingress", {"rules": [{"host": "Foo.com"}]}, "spec.rules[0].host", HOST),
    ("Ingress", {"rules": [{"host": "a.*.com"}]}, "spec.rules[0].host", WILDCARD),
    ("Ingress", service(), "spec.defaultBackend", "port name or number is required"),
    ("Ingress", service(number=1, name="a"), "spec.defaultBackend", "cannot set both port name &"),
    (
        "Ingress",
        service(number=70000),
        "spec.defaultBackend.service.port.number",
        "must be between 1 and 65535, inclusive",
    ),
    (
        "Ingress",
        {"defaultBackend": {"resource": {"kind": "", "name": "a/b"}}},
        "spec.defaultBackend.resource.name",
        "may not contain '/'",
    ),
    ("Ingress", {**path(), "tls": [{"hosts": ["A"]}]}, "spec.tls[0].hosts[0]", HOST),
    ("Ingress", {**path(), "tls": [{"secretName": "A"}]}, "spec.tls[0].secretName", HOST),
    ("Ingress", {**path(), "ingressClassName": "A"}, "spec.ingressClassName", HOST),
    ("IngressClass", {}, "spec.controller", "Required value"),
    ("IngressClass", {"controller": "x"}, "spec.controller", "must be a domain-prefixed path"),
    ("IngressClass", {"controller": "a.io/é"}, "spec.controller", "Invalid path (regex used for"),
    ("IngressClass", {"controller": "a.io/" + "x" * 250}, "spec.controller", "Too long: may not"),
    ("IngressClass", parameters(scope="X"), "spec.parameters.scope", "Unsupported value"),
    (
        "IngressClass",
        parameters(namespace="n"),
        "spec.parameters.namespace",
        "`parameters.scope` is set to 'Cluster'",
    ),
    (
        "IngressClass",
        parameters(scope="Namespace"),
        "spec.parameters.namespace",
        "Required value: `parameters.scope` is set to 'Namespace'",
    ),
    (
        "IngressClass",
        parameters(scope="Namespace", namespace="a.b"),
        "spec.parameters.namespace",
        'Invalid value: "a.b": must not contain dots',
    ),
    ("NetworkPolicy", policy(policyTypes=["In"]), "spec.policyTypes[0]", "Unsupported value"),
    (
        "NetworkPolicy",
        policy(policyTypes=["Ingress"] * 3),
        "spec.policyTypes",
        "may not specify more than two policyTypes",
    ),
    ("NetworkPolicy", allow({"protocol": "ICMP"}), f"{PORT}.protocol", "Unsupported value"),
    ("NetworkPolicy", allow({"port": 0}), f"{PORT}.port", "must be between 1 and 65535"),
    (
        "NetworkPolicy",
        allow({"port": 9, "endPort": 8}),
        f"{PORT}.endPort",
        "than or equal to `port`",
    ),
    (
        "NetworkPolicy",
        allow({"port": "a", "endPort": 8}),
        f"{PORT}.endPort",
        "`port` is non-numeric",
    ),
    ("NetworkPolicy", allow({"endPort": 8}), f"{PORT}.endPort", "when `port` is not specified"),
    ("NetworkPolicy", policy(egress=[{"to": [{}]}]), "spec.egress[0].to[0]", "must specify a peer"),
    (
        "NetworkPolicy",
        allow(ipBlock={"cidr": "10.0.0.0/8"}, podSelector={}),
        PEER,
        "may not specify both ipBlock and another peer",
    ),
    ("NetworkPolicy", allow(ipBlock={"cidr": "10.0.0.0"}), f"{BLOCK}.cidr", "must be a valid CIDR"),
    (
        "NetworkPolicy",
        allow(ipBlock={"cidr": "10.0.0.0/8", "except": ["11.0.0.0/16"]}),
        f"{BLOCK}.except[0]",
        "must be a strict subset of `cidr`",
    ),
    ("ServiceCIDR", {}, "spec.cidrs", "at least one CIDR required"),
    ("ServiceCIDR", {"cidrs": ["10.0.0.1/8"]}, "spec.cidrs[0]", "IP doesn't match network IP"),
    (
        "ServiceCIDR",
        {"cidrs": ["10.0.0.0/8", "11.0.0.0/8"]},
        "spec.cidrs",
        "may specify no more than one IP for each IP family",
    ),
    ("ServiceCIDR", {"cidrs": ["a", "b", "c"]}, "spec.cidrs", "may only hold up to 2 values"),
    ("ServiceCIDR", {"cidrs": ["FD00::/64"]}, "spec.cidrs[0]", "CIDR not in RFC 5952 canonical"),
]


@pytest.mark.parametrize(("kind", "spec", "field", "message"), ROWS)
def test_what_kubernetes_refuses_is_refused(
    api: KubeAPI, kind: str, spec: Spec, field: str, message: str
) -> None:
    """Each broken rule is reported with upstream's path and text."""
    with pytest.raises(Invalid) as raised:
        api.create(sample(NETWORKING, kind, spec=spec))
    causes = causes_of(raised.value)
    assert [text for name, text in causes if name == field and message in text], causes


def test_names_of_addresses_are_canonical(api: KubeAPI) -> None:
    """An IPAddress is named by its address, as Go writes it, and belongs to an object."""
    parent = {"parentRef": {"resource": "services", "name": "web"}}
    api.create(sample(NETWORKING, "IPAddress", "2001:db8::1", spec=parent))
    for name in ("web", "2001:0db8::1"):
        with pytest.raises(Invalid, match=r"metadata\.name"):
            api.create(sample(NETWORKING, "IPAddress", name, spec=parent))
    with pytest.raises(Invalid, match=r"spec\.parentRef: Required value"):
        api.create(sample(NETWORKING, "IPAddress", "10.0.0.1"))


def test_defaults_are_those_of_kubernetes(api: KubeAPI) -> None:
    """A policy implies its types and TCP; parameters of a class are the cluster's."""
    egress = sample(
        NETWORKING, "NetworkPolicy", "out", spec={"egress": [{"ports": [{"port": 53}]}]}
    )
    made = api.create(egress)["spec"]
    assert made["policyTypes"] == ["Ingress", "Egress"]
    assert made["podSelector"] == {}
    assert made["egress"][0]["ports"] == [{"port": 53, "protocol": "TCP"}]
    only = api.create(sample(NETWORKING, "NetworkPolicy", "in"))["spec"]
    assert only == {"podSelector": {}, "policyTypes": ["Ingress"]}
    made = api.create(sample(NETWORKING, "IngressClass", spec=parameters()))
    assert made["spec"]["parameters"]["scope"] == "Cluster"
    ingress = api.create(sample(NETWORKING, "Ingress", spec=path()))
    assert ingress["status"] == {"loadBalancer": {}}
    assert ingress["metadata"]["generation"] == 1


def test_a_new_ingress_gets_the_default_class(api: KubeAPI) -> None:
    """As by DefaultIngressClass: unless it names one, in the field or in the old annotation."""
    marked = {"ingressclass.kubernetes.io/is-default-class": "true"}
    for name, marks in (("other", {}), ("b", marked), ("a", marked)):
        document = sample(NETWORKING, "IngressClass", name, spec={"controller": "a.io/b"})
        api.create({**document, "metadata": {"name": name, "annotations": marks}})
    plain = api.create(sample(NETWORKING, "Ingress", "plain", spec=path()))
    assert plain["spec"]["ingressClassName"] == "a"
    named = api.create(sample(NETWORKING, "Ingress", "x", spec={**path(), "ingressClassName": "o"}))
    assert named["spec"]["ingressClassName"] == "o"
    old = sample(NETWORKING, "Ingress", "old", spec=path())
    old["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "nginx"}
    assert "ingressClassName" not in api.create(old)["spec"]
    del plain["spec"]["ingressClassName"]  # an update is not defaulted
    assert "ingressClassName" not in api.update(plain)["spec"]


def test_annotation_and_field_must_agree_at_creation_alone(api: KubeAPI) -> None:
    """Upstream checks it in ValidateIngressCreate."""
    document = sample(NETWORKING, "Ingress", spec={**path(), "ingressClassName": "a"})
    document["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "b"}
    with pytest.raises(Invalid, match="must match `ingressClassName` when both are specified"):
        api.create(document)
    document["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "a"}
    made = api.create(document)
    made["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "b"}
    assert api.update(made)["metadata"]["annotations"] == {"kubernetes.io/ingress.class": "b"}


def test_what_is_not_enforced_says_so_at_creation(api: KubeAPI) -> None:
    """A warning for a created object, by POST or apply; none for an update."""
    for document in NETWORKING_SAMPLES:
        warnings: list[str] = []
        made = api.create(document, warnings=warnings)
        (message,) = warnings
        assert message.startswith(
            "kubesim simulates this IngressClass in part: "
            if document["kind"] == "IngressClass"
            else f"kubesim keeps this {document['kind']} but does not enforce it: "
        )
        warnings.clear()
        made["metadata"]["labels"] = {"a": "b"}
        api.update(made, warnings=warnings)
        api.patch(document["kind"], made["metadata"]["name"], {}, warnings=warnings)
        assert warnings == []
    applied = sample(NETWORKING, "NetworkPolicy", "applied")
    for expected in (1, 0):
        warnings = []
        api.apply(applied, field_manager="me", warnings=warnings)
        assert len(warnings) == expected


def test_immutable_fields(api: KubeAPI) -> None:
    """The controller of a class, the owner of an address, the ranges of a ServiceCIDR."""
    for document, spec, field in (
        (NETWORKING_SAMPLES[1], {"controller": "a.io/other"}, "spec.controller"),
        (NETWORKING_SAMPLES[3], {"parentRef": {"resource": "a", "name": "b"}}, "spec.parentRef"),
        (NETWORKING_SAMPLES[4], {"cidrs": ["10.0.0.0/8"]}, "spec.cidrs"),
    ):
        made = api.create(document)
        with pytest.raises(Invalid, match=f"{field}: .*field is immutable"):
            api.update({**made, "spec": spec})


def test_a_status_of_an_ingress_is_validated(api: KubeAPI) -> None:
    """Addresses are IP addresses or names."""
    made = api.create(NETWORKING_SAMPLES[0])
    points = [{"ip": "x"}, {"hostname": "10.0.0.1"}]
    with pytest.raises(Invalid) as raised:
        api.update_status({**made, "status": {"loadBalancer": {"ingress": points}}})
    assert {field for field, _ in causes_of(raised.value)} == {
        "status.loadBalancer.ingress[0].ip",
        "status.loadBalancer.ingress[1].hostname",
    }


def test_cells_are_those_of_kubectl(api: KubeAPI) -> None:
    """Columns and cells of `kubectl get`."""
    rules = [{"host": f"h{index}.io"} for index in range(4)]
    wide = sample(NETWORKING, "Ingress", "wide", spec={"rules": rules, "tls": [{}]})
    made = api.create(wide)
    point = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}, {"hostname": "lb.io"}]}}
    api.update_status({**made, "status": point})
    for document in NETWORKING_SAMPLES:
        api.create(document)
    expected = {
        "Ingress": [
            ["sample", "<none>", "example.com", "", "80", "0s"],
            ["wide", "<none>", "h0.io,h1.io,h2.io + 1 more...", "10.0.0.1,lb.io", "80, 443", "0s"],
        ],
        "IngressClass": [["sample", "example.com/ingress", "<none>", "0s"]],
        "NetworkPolicy": [["sample", "app=web", "0s"]],
        "IPAddress": [["10.96.0.9", "services/default/web"]],
        "ServiceCIDR": [["sample", "10.112.0.0/16", "0s"]],
    }
    for kind, rows in expected.items():
        items = api.list(kind)["items"]
        assert table_for(api.registry.find(kind), items, api.clock, api.clock.now())[1] == rows
    assert INGRESS_RULE["host"] == "example.com"

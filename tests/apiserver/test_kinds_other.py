"""The other kinds that are only kept: rules, defaults, cells, approval, Events in two groups.

Source: pkg/apis/{certificates,flowcontrol,resource,node}/validation/validation.go,
kube-aggregator/pkg/apis/apiregistration/validation, pkg/apis/events/v1/conversion.go.
"""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import a_service
from kind_samples import FLOW, FLOW_RULE, OTHER_SAMPLES, RESOURCE, causes_of, sample

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.clusterkinds.flowcontrol import entropy_bits
from kubesim.apiserver.printers.table import table_for
from kubesim.errors import Invalid
from kubesim.objects.frozen import thaw
from kubesim.objects.meta import name_of

Fields = dict[str, Any]
BY_KIND = {each["kind"]: each for each in OTHER_SAMPLES}


def changed(kind: str, **fields: Any) -> Fields:
    """The sample of a kind with these fields of its spec; None: the field is missing."""
    document: Fields = thaw(BY_KIND[kind])
    spec = {**document["spec"], **fields}
    document["spec"] = {key: value for key, value in spec.items() if value is not None}
    return document


def level(kind: str = "Reject", **limited: Any) -> Fields:
    """A priority level with these fields."""
    response: Fields = {"type": kind}
    if "queuing" in limited:
        response["queuing"] = limited.pop("queuing")
    spec = {"type": "Limited", "limited": {"limitResponse": response, **limited}}
    return sample(FLOW, "PriorityLevelConfiguration", spec=spec)


def flow(**rule: Any) -> Fields:
    """A FlowSchema with one rule, FLOW_RULE but for these fields."""
    return changed("FlowSchema", rules=[{**FLOW_RULE, **rule}])


def subject(**fields: Any) -> Fields:
    """A FlowSchema about one subject."""
    return flow(subjects=[fields])


def claim(**request: Any) -> Fields:
    """A ResourceClaim with one request."""
    return sample(RESOURCE, "ResourceClaim", spec={"devices": {"requests": [request]}})


CLASS = {"deviceClassName": "gpu.example.com"}
RULES = "spec.rules[0]"
QUEUING = "spec.limited.limitResponse.queuing"
REQUEST = "spec.devices.requests[0]"
ROWS: list[tuple[Fields, str, str]] = [
    (changed("APIService", version="v2"), "metadata.name", 'must be `spec.version+"."+spec.group`'),
    (changed("APIService", groupPriorityMinimum=0), "spec.groupPriorityMinimum", "less than 20000"),
    (changed("APIService", versionPriority=1001), "spec.versionPriority", "less than 1000"),
    (changed("APIService", service={"name": "a"}), "spec.service.namespace", "Required value"),
    (
        changed("APIService", service=None, insecureSkipTLSVerify=True),
        "spec.insecureSkipTLSVerify",
        "local APIServices may not have insecureSkipTLSVerify",
    ),
    (
        changed("CertificateSigningRequest", request="aGVsbG8="),
        "spec.request",
        "PEM block type must be CERTIFICATE REQUEST",
    ),
    (changed("CertificateSigningRequest", usages=None), "spec.usages", "Required value"),
    (changed("CertificateSigningRequest", usages=["x"]), "spec.usages[0]", "Unsupported value"),
    (
        changed("CertificateSigningRequest", signerName="a"),
        "spec.signerName",
        "of the form 'example",
    ),
    (changed("CertificateSigningRequest", signerName="a/b"), "spec.signerName", "two segments"),
    (
        changed("CertificateSigningRequest", signerName="kubernetes.io/legacy-unknown"),
        "spec.signerName",
        "the legacy signerName is not allowed via this API version",
    ),
    (
        changed("CertificateSigningRequest", expirationSeconds=599),
        "spec.expirationSeconds",
        "may not specify a duration less than 600 seconds (10 minutes)",
    ),
    (changed("FlowSchema", matchingPrecedence=10001), "spec.matchingPrecedence", "than 10000"),
    (changed("FlowSchema", matchingPrecedence=1), "spec.matchingPrecedence", "named 'exempt' may"),
    (
        changed("FlowSchema", priorityLevelConfiguration=None),
        "spec.priorityLevelConfiguration.name",
        "must reference a priority level",
    ),
    (flow(subjects=[]), f"{RULES}.subjects", "subjects must contain at least one value"),
    (flow(resourceRules=[]), RULES, "at least one of resourceRules and nonResourceRules has to"),
    (subject(kind="Robot"), f"{RULES}.subjects[0].kind", "Unsupported value"),
    (subject(kind="User"), f"{RULES}.subjects[0].user", "user is required when subject kind is"),
    (
        subject(kind="User", user={"name": "a"}, group={"name": "b"}),
        f"{RULES}.subjects[0].group",
        "group is forbidden when subject kind is not 'Group'",
    ),
    (
        subject(kind="ServiceAccount", serviceAccount={"name": "a"}),
        f"{RULES}.subjects[0].serviceAccount.namespace",
        "must specify namespace for service account",
    ),
    (
        flow(nonResourceRules=[{"verbs": ["get"], "nonResourceURLs": ["/a*"]}]),
        f"{RULES}.nonResourceRules[0].nonResourceURLs[0]",
        "wildcard can only do suffix matching",
    ),
    (
        flow(resourceRules=[{"verbs": ["get"], "apiGroups": ["*"], "resources": ["*"]}]),
        f"{RULES}.resourceRules[0].namespaces",
        "resource rules that are not cluster scoped must supply at least one namespace",
    ),
    (
        sample(FLOW, "PriorityLevelConfiguration", "exempt", spec={"type": "Limited"}),
        "spec.type",
        "type must be 'Exempt' if and only if name is 'exempt'",
    ),
    (level(lendablePercent=101), "spec.limited.lendablePercent", "between 0 and 100, inclusive"),
    (level("Queue"), QUEUING, "must not be empty if limited.limitResponse.type is Limited"),
    (level("Reject", queuing={}), QUEUING, "must be nil if limited.limitResponse.type is not"),
    (
        level("Queue", queuing={"queues": 4, "handSize": 5}),
        f"{QUEUING}.handSize",
        "should not be greater than queues (4)",
    ),
    (
        level("Queue", queuing={"queues": 512, "handSize": 8}),
        f"{QUEUING}.handSize",
        "required entropy bits of deckSize 512 and handSize 8 should not be greater than 60",
    ),
    (claim(name="a"), REQUEST, "exactly one of `exactly` or `firstAvailable` is required"),
    (claim(name="A", exactly=CLASS), f"{REQUEST}.name", "a lowercase RFC 1123 label"),
    (claim(name="a", exactly={}), f"{REQUEST}.exactly.deviceClassName", "Required value"),
    (
        claim(name="a", exactly={**CLASS, "allocationMode": "All", "count": 2}),
        f"{REQUEST}.exactly.count",
        "must not be specified when allocationMode is 'All'",
    ),
    (
        claim(name="a", exactly={**CLASS, "selectors": [{}]}),
        f"{REQUEST}.exactly.selectors[0].cel",
        "Required value",
    ),
    (
        changed("ResourceClaim", devices={"constraints": [{"requests": ["x"]}]}),
        "spec.devices.constraints[0].requests[0]",
        "must be the name of a request in the claim",
    ),
    (
        changed("DeviceClass", config=[{"opaque": {"driver": "a"}}]),
        "spec.config[0].opaque.parameters",
        "Required value",
    ),
    (changed("ResourceSlice", nodeName=None), "spec", "exactly one of `nodeName`"),
    (changed("ResourceSlice", driver=""), "spec.driver", "Required value"),
    (changed("ResourceSlice", devices=[{"name": "a"}] * 2), "spec.devices[1]", "Duplicate value"),
    (sample("node.k8s.io/v1", "RuntimeClass", handler="A"), "handler", "RFC 1123 label"),
    (
        sample("v1", "PodTemplate", template={"spec": {"containers": []}}),
        "template.spec.containers",
        "Required value",
    ),
]


@pytest.mark.parametrize(("document", "field", "message"), ROWS)
def test_what_kubernetes_refuses_is_refused(
    api: KubeAPI, document: Fields, field: str, message: str
) -> None:
    """Each broken rule is reported with upstream's path and text."""
    with pytest.raises(Invalid) as raised:
        api.create(document)
    causes = causes_of(raised.value)
    assert [text for name, text in causes if name == field and message in text], causes


def test_entropy_is_that_of_the_shuffle_sharder() -> None:
    """Values of shufflesharding_test.go."""
    assert [entropy_bits(128, 6), entropy_bits(64, 8), entropy_bits(1, 1)] == [42, 48, 0]


def test_immutable_fields(api: KubeAPI) -> None:
    """Handlers, specs of claims and templates, the driver of a slice."""
    for kind, field, value in (
        ("RuntimeClass", "handler", "runc"),
        ("ResourceClaim", "spec", {}),
        ("ResourceClaimTemplate", "spec", {"spec": {}}),
        ("ResourceSlice", "spec.driver", "other.example.com"),
    ):
        made = api.create(BY_KIND[kind])
        if field == "spec.driver":
            made["spec"]["driver"] = value
        else:
            made[field] = value
        with pytest.raises(Invalid, match=f"{field}: .*field is immutable"):
            api.update(made)


def test_defaults(api: KubeAPI) -> None:
    """One device, exactly; shares, queues and precedence; port 443; the pod spec of a template."""
    request = api.create(BY_KIND["ResourceClaim"])["spec"]["devices"]["requests"][0]["exactly"]
    assert request == {**CLASS, "allocationMode": "ExactCount", "count": 1}
    limited = api.create(level("Queue", queuing={}))["spec"]["limited"]
    assert (limited["nominalConcurrencyShares"], limited["lendablePercent"]) == (30, 0)
    queuing = {"handSize": 8, "queues": 64, "queueLengthLimit": 50}
    assert limited["limitResponse"]["queuing"] == queuing
    assert api.create(BY_KIND["FlowSchema"])["spec"]["matchingPrecedence"] == 1000
    assert api.create(BY_KIND["APIService"])["spec"]["service"]["port"] == 443
    made = api.create(BY_KIND["PodTemplate"])
    assert made["template"]["spec"]["restartPolicy"] == "Always"
    assert made["metadata"]["generation"] == 1


def test_an_api_service_says_whether_it_is_available(api: KubeAPI) -> None:
    """A local one is; one of another server is not, for requests are not forwarded."""
    missing = api.create(BY_KIND["APIService"])["status"]["conditions"][0]
    assert (missing["status"], missing["reason"]) == ("False", "ServiceNotFound")
    assert missing["message"] == 'service/api in "default" is not present'
    api.create(a_service("api"))
    other = changed("APIService", version="v2")
    other["metadata"]["name"] = "v2.example.com"
    assert api.create(other)["status"]["conditions"][0]["reason"] == "FailedDiscoveryCheck"
    local = changed("APIService", service=None, version="v3")
    local["metadata"]["name"] = "v3.example.com"
    assert api.create(local)["status"]["conditions"][0]["status"] == "True"
    served = [each for each in api.list("apiservices")["items"] if "example" in name_of(each)]
    rows = table_for(api.registry.find("apiservices"), served, api.clock, 0)
    assert [row[1:3] for row in rows[1]] == [
        ["default/api", "False (ServiceNotFound)"],
        ["default/api", "False (FailedDiscoveryCheck)"],
        ["Local", "True"],
    ]


# -- certificates ----------------------------------------------------------------------------------


def decided(request: Fields, kind: str, status: str = "True") -> Fields:
    """The request with one more condition."""
    document: Fields = thaw(request)
    status_: Fields = document.setdefault("status", {})
    status_.setdefault("conditions", []).append({"type": kind, "status": status})
    return document


def test_a_request_is_approved_by_its_subresource_alone(api: KubeAPI) -> None:
    """The status subresource may not decide; a decision is kept; a certificate is set once."""
    made = api.create(BY_KIND["CertificateSigningRequest"])
    assert made["spec"]["username"] == "kubernetes-admin"
    with pytest.raises(Invalid, match='updates may not add a condition of type "Approved"'):
        api.update_status(decided(made, "Approved"))
    with pytest.raises(Invalid, match="Unsupported value"):
        api.update_approval(decided(made, "Approved", "False"))
    approved = api.update_approval(decided(made, "Approved"))
    (condition,) = approved["status"]["conditions"]
    assert condition["lastUpdateTime"] == condition["lastTransitionTime"] == api.clock.timestamp()
    with pytest.raises(Invalid, match="Approved and Denied conditions are mutually exclusive"):
        api.update_approval(decided(approved, "Denied"))
    with pytest.raises(Invalid, match='may not remove a condition of type "Approved"'):
        api.update_approval({**approved, "status": {}})
    pem = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCmEKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo="
    issued = api.update_status({**approved, "status": {**approved["status"], "certificate": pem}})
    assert issued["status"]["certificate"] == pem
    with pytest.raises(Invalid, match="updates may not modify existing certificate content"):
        api.update_status({**issued, "status": approved["status"]})
    kind = api.registry.find("csr")
    row = table_for(kind, [issued], api.clock, 0.0)[1][0]
    assert row == [
        "sample",
        "0s",
        "example.com/signer",
        "kubernetes-admin",
        "<none>",
        "Approved,Issued",
    ]


def test_an_approval_may_be_a_patch_and_the_spec_never_changes(api: KubeAPI) -> None:
    """As upstream: changes of the spec are ignored, and an approval changes conditions alone."""
    made = api.create(BY_KIND["CertificateSigningRequest"])
    patch = {
        "status": {"conditions": [{"type": "Denied", "status": "True"}], "certificate": "eA=="}
    }
    denied = api.patch("csr", "sample", patch, subresource="approval")
    assert [each["type"] for each in denied["status"]["conditions"]] == ["Denied"]
    assert "certificate" not in denied["status"]
    denied["spec"]["usages"] = ["server auth"]
    assert api.update(denied)["spec"] == made["spec"]


# -- Events in two groups --------------------------------------------------------------------------


def test_an_event_is_the_same_object_in_both_groups(api: KubeAPI) -> None:
    """Written in either, read in either, with the names of each."""
    about = {"kind": "Pod", "name": "web", "namespace": "default"}
    event = sample(
        "events.k8s.io/v1",
        "Event",
        regarding=about,
        note="Started container",
        reason="Started",
        action="Starting",
        type="Normal",
        eventTime="2025-01-01T00:00:00.000000Z",
        reportingController="example.com/controller",
        reportingInstance="one",
    )
    made = api.create(event, field_validation="Strict")
    assert (made["apiVersion"], made["message"]) == ("v1", "Started container")
    assert made["involvedObject"] == about
    assert made["reportingComponent"] == "example.com/controller"
    shown = api.convert(made, "events.k8s.io/v1")
    for field in ("regarding", "note", "reportingController", "eventTime", "action"):
        assert shown[field] == event[field]
    core = sample("v1", "Event", "old", involvedObject=about, count=2, message="m")
    shown = api.convert(api.create(core), "events.k8s.io/v1")
    assert (shown["deprecatedCount"], shown["note"], shown["eventTime"]) == (2, "m", None)
    assert api.registry.find("events.events.k8s.io") is api.registry.find("Event")


def test_components_are_healthy(api: KubeAPI) -> None:
    """`kubectl get componentstatuses`: computed, read-only."""
    kind = api.registry.find("cs")
    items = api.list(kind.kind)["items"]
    assert table_for(kind, items, api.clock, 0.0)[1] == [
        ["controller-manager", "Healthy", "ok", ""],
        ["etcd-0", "Healthy", "ok", ""],
        ["scheduler", "Healthy", "ok", ""],
    ]
    assert kind.verbs == ("get", "list")

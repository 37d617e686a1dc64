"""Defaults and validation of the other kinds, and of metadata."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from api_builders import a_config_map, a_node, a_pod, a_statefulset, a_workload, labelled

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.admission.serviceaccount import SOURCES
from kubesim.apiserver.podvalidation.updates import POD_IS_FIXED
from kubesim.apiserver.validation import FieldErrors
from kubesim.errors import BadRequest, Invalid

MAIN = {"name": "main", "image": "nginx"}


def main(**fields: Any) -> dict[str, Any]:
    return {"containers": [{**MAIN, **fields}]}


def resources(**sides: Any) -> dict[str, Any]:
    return main(resources=sides)


def causes_of(refused: pytest.ExceptionInfo[Invalid]) -> list[tuple[str, str]]:
    return [(c.field, c.reason.removeprefix("FieldValue")) for c in refused.value.causes]


# -- pods ---

POD_ROWS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("spec.containers", "Required", "", {"containers": []}),
    ("spec.containers", "Required", "", {"containers": None}),
    ("spec.containers[0].name", "Required", "", main(name=None)),
    ("spec.containers[0].name", "Invalid", "RFC 1123 label", main(name="Main")),
    ("spec.containers[1].name", "Duplicate", '"main"', {"containers": [MAIN, MAIN]}),
    ("spec.initContainers[0].name", "Duplicate", "", {**main(), "initContainers": [MAIN]}),
    ("spec.containers[0].image", "Required", "", main(image="")),
    (
        "spec.containers[0].resources.requests[memory]",
        "Invalid",
        "must be greater than or equal to 0",
        resources(requests={"memory": "-1Mi"}),
    ),
    (
        "spec.containers[0].resources.requests",
        "Invalid",
        "must be less than or equal to cpu limit of 100m",
        resources(requests={"cpu": "200m"}, limits={"cpu": "100m"}),
    ),
    (
        "spec.containers[0].resources.requests",
        "Invalid",
        "must be less than or equal to memory limit of 1Mi",
        resources(requests={"memory": "2M"}, limits={"memory": "1Mi"}),
    ),
    ("spec.containers[0].ports[0].containerPort", "Required", "", main(ports=[{"name": "x"}])),
    (
        "spec.containers[0].ports[0].containerPort",
        "Invalid",
        "between 1 and 65535",
        main(ports=[{"containerPort": 65536}]),
    ),
    (
        "spec.containers[0].ports[0].protocol",
        "NotSupported",
        '"TCP"',
        main(ports=[{"containerPort": 80, "protocol": "QUIC"}]),
    ),
    ("spec.containers[0].env[0].name", "Required", "", main(env=[{"value": "1"}])),
    ("spec.restartPolicy", "NotSupported", '"OnFailure"', {"restartPolicy": "Sometimes"}),
    (
        "spec.terminationGracePeriodSeconds",
        "Invalid",
        "must be greater than or equal to 0",
        {"terminationGracePeriodSeconds": -1},
    ),
    ("spec.activeDeadlineSeconds", "Invalid", "", {"activeDeadlineSeconds": 0}),
    (
        "spec.tolerations[0].operator",
        "NotSupported",
        "",
        {"tolerations": [{"key": "a", "operator": "Has"}]},
    ),
    ("spec.tolerations[0].operator", "Invalid", "`key` is empty", {"tolerations": [{}]}),
    (
        "spec.tolerations[0].operator",
        "Invalid",
        "value must be empty",
        {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
    ),
    (
        "spec.tolerations[0].effect",
        "NotSupported",
        '"NoExecute"',
        {"tolerations": [{"key": "a", "effect": "Run"}]},
    ),
    (
        "spec.tolerations[0].effect",
        "Invalid",
        "must be 'NoExecute'",
        {"tolerations": [{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 5}]},
    ),
]


@pytest.mark.parametrize(("field", "reason", "text", "spec"), POD_ROWS)
def test_rules_of_a_pod(
    api: KubeAPI, field: str, reason: str, text: str, spec: dict[str, Any]
) -> None:
    """One cause for the wrong field, in upstream's wording; the same in a template."""
    with pytest.raises(Invalid) as refused:
        api.create(a_pod(**spec))
    assert causes_of(refused) == [(field, reason)]
    assert text in refused.value.causes[0].message
    workload = a_workload("Deployment")
    workload["spec"]["template"]["spec"].update(spec)
    with pytest.raises(Invalid) as refused:
        api.create(workload)
    assert (f"spec.template.{field}", reason) in causes_of(refused)


def test_the_usual_messages(api: KubeAPI) -> None:
    """One error stands alone, several stand in brackets."""
    with pytest.raises(Invalid) as refused:
        api.create(a_pod("x", **main(name=None)))
    assert refused.value.message == ('Pod "x" is invalid: spec.containers[0].name: Required value')
    with pytest.raises(Invalid) as refused:
        api.create(a_pod("x", **main(name=None, image=None)))
    assert refused.value.message == (
        'Pod "x" is invalid: [spec.containers[0].name: Required value, '
        "spec.containers[0].image: Required value]"
    )
    assert refused.value.status()["details"] == {
        "name": "x",
        "kind": "Pod",
        "causes": [
            {
                "reason": "FieldValueRequired",
                "message": "Required value",
                "field": f"spec.containers[0].{field}",
            }
            for field in ("name", "image")
        ],
    }


def test_defaults_of_a_pod(api: KubeAPI) -> None:
    """All defaults of a minimal pod."""
    spec = api.create(
        a_pod(**main(ports=[{"containerPort": 80}], livenessProbe={"exec": {"command": ["true"]}}))
    )["spec"]
    assert spec["restartPolicy"] == "Always"
    assert spec["terminationGracePeriodSeconds"] == 30
    assert spec["dnsPolicy"] == "ClusterFirst"
    assert spec["schedulerName"] == "default-scheduler"
    assert spec["priority"] == 0 and spec["preemptionPolicy"] == "PreemptLowerPriority"
    assert [t["key"] for t in spec["tolerations"]] == [
        "node.kubernetes.io/not-ready",
        "node.kubernetes.io/unreachable",
    ]
    assert {t["tolerationSeconds"] for t in spec["tolerations"]} == {300}
    container = spec["containers"][0]
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert container["livenessProbe"]["periodSeconds"] == 10
    assert container["imagePullPolicy"] == "Always"
    assert container["resources"] == {}


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("registry:5000/nginx", "Always"),
        ("registry:5000/nginx:1", "IfNotPresent"),
        ("nginx@sha256:abc", "IfNotPresent"),
    ],
)
def test_pull_policy_follows_the_tag(api: KubeAPI, image: str, policy: str) -> None:
    """An image with :latest or without a tag is always pulled."""
    new = api.create(a_pod(**main(image=image)))
    assert new["spec"]["containers"][0]["imagePullPolicy"] == policy


def test_null_means_left_out(api: KubeAPI) -> None:
    """A default replaces null."""
    new = api.create(a_pod(restartPolicy=None, tolerations=None, **main(resources=None)))
    assert new["spec"]["restartPolicy"] == "Always"
    assert len(new["spec"]["tolerations"]) == 2


def test_limits_are_requests_by_default(api: KubeAPI) -> None:
    """Limits become missing requests; the HPA needs them."""
    new = api.create(a_pod(**resources(limits={"cpu": "1", "memory": "1Gi"}, requests={"cpu": 0})))
    requests = new["spec"]["containers"][0]["resources"]["requests"]
    assert requests == {"cpu": "0", "memory": "1Gi"}


def test_a_toleration_of_one_s_own_replaces_the_default(api: KubeAPI) -> None:
    """A pod that tolerates not-ready gets no further toleration."""
    own = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}
    tolerations = api.create(a_pod(tolerations=[own]))["spec"]["tolerations"]
    assert tolerations[0] == own and len(tolerations) == 2
    everything = {"operator": "Exists"}
    assert api.create(a_pod("b", tolerations=[everything]))["spec"]["tolerations"] == [everything]


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        (lambda spec: spec["containers"][0].update(image="nginx:2"), True),
        (lambda spec: spec.update(activeDeadlineSeconds=50), True),
        (lambda spec: spec["tolerations"].append({"key": "a", "operator": "Exists"}), True),
        (lambda spec: spec["tolerations"][0].update(tolerationSeconds=9), True),
        (lambda spec: spec["tolerations"][0].update(key="other"), False),
        (lambda spec: spec["tolerations"].pop(0), False),
        (lambda spec: spec.update(nodeName="node-1"), False),
        (lambda spec: spec.update(restartPolicy="Never"), False),
        (lambda spec: spec["containers"][0].update(command=["sh"]), False),
        (lambda spec: spec["containers"].append({"name": "b", "image": "b"}), False),
        (lambda spec: spec.update(terminationGracePeriodSeconds=1), False),
    ],
)
def test_what_may_change_of_a_pod(api: KubeAPI, change: Any, allowed: bool) -> None:
    """Only images, the deadline and added tolerations may change."""
    own = {"key": "own", "operator": "Exists", "effect": "NoExecute"}
    pod = api.create(a_pod(tolerations=[own]))
    change(pod["spec"])
    if allowed:
        assert api.update(pod)["spec"] == pod["spec"]
        return
    with pytest.raises(Invalid, match="spec") as refused:
        api.update(pod)
    assert causes_of(refused)[0][1] == "Forbidden"


def test_the_words_of_an_immutable_pod(api: KubeAPI) -> None:
    """The upstream message; a deadline can only be shortened."""
    pod = api.create(a_pod(activeDeadlineSeconds=10))
    with pytest.raises(Invalid) as refused:
        api.patch("Pod", "web", {"spec": {"hostNetwork": True}})
    assert refused.value.message == f'Pod "web" is invalid: spec: Forbidden: {POD_IS_FIXED}'
    assert POD_IS_FIXED.startswith("pod updates may not change fields other than")
    pod["spec"]["activeDeadlineSeconds"] = 20
    with pytest.raises(Invalid, match="less than or equal to previous value"):
        api.update(pod)


# -- label selectors ---

QUALIFIED_NAME = (
    "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used "
    "for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain "
    "prefix and '/' (e.g. 'example.com/MyName')"
)
REQUIREMENTS = [
    ({"key": "a/b/c", "operator": "DoesNotExist"}, ".key", '"a/b/c"', QUALIFIED_NAME),
    ({"key": "/c", "operator": "DoesNotExist"}, ".key", '"/c"', "prefix part must be non-empty"),
    ({"key": "-c", "operator": "Exists"}, ".key", '"-c"', "name part must consist of"),
    ({"key": "x" * 64, "operator": "Exists"}, ".key", '"xxx', "must be no more than 63 bytes"),
    (
        {"key": "app", "operator": "In", "values": ["a", "b c"]},
        ".values[1]",
        '"b c"',
        "a valid label must be an empty string or consist of",
    ),
]


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "DaemonSet", "StatefulSet"])
@pytest.mark.parametrize(("requirement", "field", "value", "detail"), REQUIREMENTS)
def test_keys_and_values_of_a_label_selector_are_checked(
    api: KubeAPI, kind: str, requirement: dict[str, Any], field: str, value: str, detail: str
) -> None:
    """As labels are, with the upstream messages."""
    template = {"metadata": {"labels": {"app": "a"}}, "spec": a_pod()["spec"]}
    spec = {"selector": {"matchExpressions": [requirement]}, "template": template}
    with pytest.raises(Invalid) as refused:
        api.create({"kind": kind, "metadata": {"name": "web"}, "spec": spec})
    path = f"spec.selector.matchExpressions[0]{field}"
    assert causes_of(refused)[0][:2] == (path, "Invalid")
    assert f"{path}: Invalid value: {value}" in refused.value.message
    assert detail in refused.value.message


# -- StatefulSets ---

EMPTY_SELECTOR = "empty selector is invalid for statefulset"
STS_ROWS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("spec.selector", "Required", "", {"selector": None}),
    ("spec.selector", "Invalid", EMPTY_SELECTOR, {"selector": {}}),
    ("spec.selector", "Invalid", EMPTY_SELECTOR, {"selector": {"matchLabels": {}}}),
    (
        "spec.selector.matchExpressions[0].operator",
        "Invalid",
        "not a valid selector operator",
        {"selector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}},
    ),
    (
        "spec.selector.matchExpressions[0].values",
        "Required",
        "must be specified when `operator` is 'In' or 'NotIn'",
        {"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
    ),
    (
        "spec.template.metadata.labels",
        "Invalid",
        "`selector` does not match template `labels`",
        {"selector": {"matchLabels": {"app": "other"}}},
    ),
    ("spec.replicas", "Invalid", "must be greater than or equal to 0", {"replicas": -1}),
    ("spec.podManagementPolicy", "Invalid", "'Parallel'", {"podManagementPolicy": "Random"}),
    ("spec.updateStrategy", "Invalid", "'OnDelete'", {"updateStrategy": {"type": "Recreate"}}),
    (
        "spec.updateStrategy.rollingUpdate.partition",
        "Invalid",
        "",
        {"updateStrategy": {"rollingUpdate": {"partition": -1}}},
    ),
    (
        "spec.updateStrategy.rollingUpdate",
        "Invalid",
        "only allowed for updateStrategy 'RollingUpdate'",
        {"updateStrategy": {"type": "OnDelete", "rollingUpdate": {"partition": 1}}},
    ),
    ("spec.minReadySeconds", "Invalid", "", {"minReadySeconds": -1}),
]


@pytest.mark.parametrize(("field", "reason", "text", "spec"), STS_ROWS)
def test_rules_of_a_statefulset(
    api: KubeAPI, field: str, reason: str, text: str, spec: dict[str, Any]
) -> None:
    """One cause for the wrong field."""
    with pytest.raises(Invalid) as refused:
        api.create(a_statefulset(**spec))
    assert causes_of(refused) == [(field, reason)]
    assert text in refused.value.causes[0].message
    assert refused.value.message.startswith('StatefulSet.apps "db" is invalid: ')


def test_a_template_of_a_statefulset(api: KubeAPI) -> None:
    """The pods always restart, and labels are strings."""
    workload = a_statefulset()
    workload["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    with pytest.raises(Invalid, match='restartPolicy: Unsupported value: "Never"'):
        api.create(workload)
    workload = a_statefulset()
    workload["spec"]["template"]["metadata"]["labels"]["size"] = 3
    with pytest.raises(BadRequest, match=r"ObjectMeta.spec.template.metadata.labels"):
        api.create(workload)
    workload["spec"]["template"] = None
    with pytest.raises(Invalid):
        api.create(workload)


def test_defaults_of_a_statefulset(api: KubeAPI) -> None:
    """Default to one replica, OrderedReady, RollingUpdate from partition 0."""
    spec = api.create(a_statefulset())["spec"]
    assert spec["replicas"] == 1
    assert spec["podManagementPolicy"] == "OrderedReady"
    assert spec["updateStrategy"] == {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}
    assert spec["revisionHistoryLimit"] == 10
    assert spec["template"]["spec"]["restartPolicy"] == "Always"
    assert api.create(a_statefulset("zero", replicas=0))["spec"]["replicas"] == 0


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({"replicas": 3}, True),
        ({"minReadySeconds": 3}, True),
        ({"updateStrategy": {"type": "OnDelete"}}, True),
        ({"serviceName": "other"}, False),
        ({"podManagementPolicy": "Parallel"}, False),
        ({"volumeClaimTemplates": []}, True),
    ],
)
def test_what_may_change_of_a_statefulset(
    api: KubeAPI, change: dict[str, Any], allowed: bool
) -> None:
    """Fields that identify the StatefulSet are immutable."""
    api.create(a_statefulset())
    if allowed:
        api.update(a_statefulset(**change))
        return
    with pytest.raises(Invalid, match="updates to statefulset spec for fields other than"):
        api.update(a_statefulset(**change))


# -- the others ---


def test_rules_of_a_node(api: KubeAPI) -> None:
    """Taints have a key and an effect, each pair once; capacities are quantities."""
    node = a_node()
    taint = {"key": "a", "effect": "NoSchedule"}
    node["spec"] = {
        "taints": [{"effect": "NoSchedule"}, {"key": "a", "effect": "No"}, taint, taint]
    }
    node["status"]["capacity"]["memory"] = "big"
    with pytest.raises(Invalid) as refused:
        api.create(node)
    assert causes_of(refused) == [
        ("spec.taints[0].key", "Invalid"),  # name part must be non-empty ...
        ("spec.taints[0].key", "Invalid"),  # ... and of these characters
        ("spec.taints[1].effect", "NotSupported"),
        ("spec.taints[3]", "Duplicate"),
        ("status.capacity[memory]", "Invalid"),
        ("status.allocatable[memory]", "Invalid"),
    ]


def test_rules_of_a_config_map(api: KubeAPI) -> None:
    """Values are strings; an immutable ConfigMap cannot change."""
    with pytest.raises(BadRequest, match=r"cannot unmarshal number into .*ConfigMap.data"):
        api.create({**a_config_map(), "data": {"port": 80}})
    api.create({**a_config_map(colour="blue"), "immutable": True})
    with pytest.raises(Invalid, match="field is immutable when `immutable` is set"):
        api.update({**a_config_map(colour="red"), "immutable": True})
    with pytest.raises(Invalid, match="immutable"):
        api.update(a_config_map(colour="blue"))


def test_rules_of_events_leases_and_namespaces(api: KubeAPI) -> None:
    """Validation of the small kinds."""
    event = {"kind": "Event", "metadata": {"name": "e"}}
    with pytest.raises(Invalid, match="involvedObject: Required value"):
        api.create(event)
    event["involvedObject"] = {"kind": "Pod", "name": "x", "namespace": "other"}
    with pytest.raises(Invalid, match=r"involvedObject.namespace: .*does not match"):
        api.create(event)
    lease = {"kind": "Lease", "metadata": {"name": "l"}, "spec": {"leaseDurationSeconds": 0}}
    with pytest.raises(Invalid, match="must be greater than 0"):
        api.create(lease)
    with pytest.raises(Invalid, match="RFC 1123 label"):
        api.create({"kind": "Namespace", "metadata": {"name": "a.b"}})
    new = api.create({"kind": "Namespace", "metadata": {"name": "shop", "labels": None}})
    assert new["metadata"]["labels"] == {"kubernetes.io/metadata.name": "shop"}


# -- metadata ---

METADATA_ROWS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("metadata.name", "Required", "name or generateName is required", {"name": None}),
    ("metadata.name", "Invalid", "a lowercase RFC 1123 subdomain must consist", {"name": "Web"}),
    ("metadata.name", "Invalid", "RFC 1123", {"name": "web\n"}),
    ("metadata.name", "Invalid", "no more than 253 bytes", {"name": "a" * 254}),
    ("metadata.generateName", "Invalid", "RFC 1123", {"generateName": "Web-"}),
    ("metadata.labels", "Invalid", "name part must consist of", {"labels": {"a b": "c"}}),
    ("metadata.labels", "Invalid", "prefix part", {"labels": {"Up.io/a": "c"}}),
    ("metadata.labels", "Invalid", "prefix part must be non-empty", {"labels": {"/a": "c"}}),
    ("metadata.labels", "Invalid", "no more than 63 bytes", {"labels": {"a" * 64: "c"}}),
    ("metadata.labels", "Invalid", "no more than 63 bytes", {"labels": {"a": "c" * 64}}),
    ("metadata.labels", "Invalid", "a valid label must be", {"labels": {"a": "-c"}}),
    ("metadata.annotations", "Invalid", "name part", {"annotations": {"a b": "c"}}),
    ("metadata.annotations", "TooLong", "262144 bytes", {"annotations": {"a": "x" * 262144}}),
    ("metadata.finalizers", "Invalid", "name part", {"finalizers": ["a b"]}),
    (
        "metadata.ownerReferences.uid",
        "Invalid",
        "must not be empty",
        {"ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "a"}]},
    ),
]


@pytest.mark.parametrize(("field", "reason", "text", "metadata"), METADATA_ROWS)
def test_rules_of_metadata(
    api: KubeAPI, field: str, reason: str, text: str, metadata: dict[str, Any]
) -> None:
    """Metadata is validated in the same way for all kinds."""
    for make in (a_pod, a_config_map):
        document = make()
        document["metadata"].update(metadata)
        with pytest.raises(Invalid) as refused:
            api.create(document)
        assert causes_of(refused) == [(field, reason)]
        assert text in refused.value.causes[0].message


def test_annotations_up_to_the_limit_are_fine(api: KubeAPI) -> None:
    """256 KiB of keys and values together, counted in bytes."""
    pod = a_pod()
    pod["metadata"]["annotations"] = {"Some.Io/Key": "x" * (262144 - 11)}
    api.create(pod)
    pod["metadata"]["name"] = "two"
    pod["metadata"]["annotations"] = {"k": "ü" * 131072}
    with pytest.raises(Invalid, match="Too long: may not be more than 262144 bytes"):
        api.create(pod)


def test_one_controller_at_most(api: KubeAPI) -> None:
    """An object has at most one controller."""
    owner = {"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "u", "controller": True}
    pod = a_pod()
    pod["metadata"]["ownerReferences"] = [owner, {**owner, "name": "b", "uid": "v"}]
    with pytest.raises(Invalid, match='Found "true" in references for a and b'):
        api.create(pod)


def test_labels_are_checked_on_update_and_patch(api: KubeAPI) -> None:
    """Validation applies to patches, too."""
    api.create(a_pod())
    with pytest.raises(Invalid):
        api.update(labelled(a_pod(), a="-"))
    with pytest.raises(Invalid):
        api.patch("Pod", "web", {"metadata": {"labels": {"a": "-"}}})


@pytest.mark.parametrize("kind", ["Deployment", "ReplicaSet", "DaemonSet"])
def test_an_update_shows_broken_rules_of_its_own_beside_the_others(kind: str, api: KubeAPI) -> None:
    """ValidateUpdate of pkg/registry/apps/*/strategy.go appends the errors of both."""
    api.create(a_workload(kind))
    with pytest.raises(Invalid) as refused:
        api.patch(kind, "web", {"spec": {"selector": {"matchLabels": {"x": "y"}}}})
    assert causes_of(refused) == [
        ("spec.template.metadata.labels", "Invalid"),
        ("spec.selector", "Invalid"),
    ]


def test_a_volume_for_the_token_without_a_name_is_refused(api: KubeAPI) -> None:
    """It looks like the volume that the server adds, which validation skips."""
    pod = a_pod()
    pod["spec"]["volumes"] = [{"name": None, "projected": deepcopy(SOURCES)}]
    with pytest.raises(Invalid) as refused:
        api.create(pod)
    assert ("spec.volumes[0].name", "Required") in causes_of(refused)


def test_values_with_parts_are_shown_as_json() -> None:
    """As since 1.34: compact JSON with Go's escapes, not Go's own notation; strings are quoted."""
    errors = FieldErrors()
    for value in (["b/c"], {"a": {"b": 1}}, "é<1>", ["<é&>"], None, 0.5, True):
        errors.invalid("spec.x", value, "no")
    shown = [cause.message.removeprefix("Invalid value: ") for cause in errors.causes]
    assert shown == [
        '["b/c"]: no',
        '{"a":{"b":1}}: no',
        '"é<1>": no',
        '["\\u003cé\\u0026\\u003e"]: no',
        "null: no",
        "0.5: no",
        "true: no",
    ]


@pytest.mark.parametrize("amount", [1e100, 5e-324, float("inf"), float("nan"), "1e+100"])
def test_a_number_that_is_no_quantity_cannot_be_decoded(api: KubeAPI, amount: object) -> None:
    """Python writes 1e100 as 1e+100; the exponents of quantities have two digits here."""
    pod = a_pod()
    pod["spec"]["containers"][0]["resources"] = {"limits": {"cpu": amount}}
    with pytest.raises(BadRequest, match="cannot be handled as a Pod: "):
        api.create(pod)


@pytest.mark.parametrize(
    "document",
    [
        {"kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "\ud800"}},
        {"kind": "ConfigMap", "metadata": {"name": "a", "annotations": {"a": "\udfff"}}},
        {"kind": "Secret", "metadata": {"name": "a"}, "stringData": {"a": "b\ud800"}},
    ],
    ids=["data", "annotation", "secret"],
)
def test_half_of_a_surrogate_pair_is_refused(api: KubeAPI, document: dict[str, Any]) -> None:
    """No encoding has it; over HTTP it does not get here. The same for an update and a patch."""
    with pytest.raises(BadRequest, match=r"text that UTF-8 cannot encode: '.*\\ud"):
        api.create(document)
    whole = {"kind": document["kind"], "metadata": {"name": "a"}}
    api.create(whole)
    with pytest.raises(BadRequest, match="text that UTF-8 cannot encode"):
        api.update(document)
    with pytest.raises(BadRequest, match="text that UTF-8 cannot encode"):
        api.patch(document["kind"], "a", document, patch_type="merge")
    with pytest.raises(Invalid, match="RFC 1123 subdomain"):
        api.create({"kind": "ConfigMap", "metadata": {"generateName": "\ud800"}})


def test_an_update_reports_broken_rules_and_immutable_fields(api: KubeAPI) -> None:
    """Both, as upstream does: a Secret that becomes one for TLS, and a Job."""
    api.create({"kind": "Secret", "metadata": {"name": "a"}})
    with pytest.raises(Invalid) as refused:
        api.update({"kind": "Secret", "metadata": {"name": "a"}, "type": "kubernetes.io/tls"})
    fields = {cause.field for cause in refused.value.causes}
    assert fields == {"type", "data[tls.crt]", "data[tls.key]"}
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "a"}]}}
    api.create({"kind": "Job", "metadata": {"name": "a"}, "spec": {"template": template}})
    changed = {"template": template, "parallelism": -1, "completionMode": "Indexed"}
    with pytest.raises(Invalid) as refused:
        api.update({"kind": "Job", "metadata": {"name": "a"}, "spec": changed})
    fields = {cause.field for cause in refused.value.causes}
    assert {"spec.parallelism", "spec.completionMode"} <= fields


def test_an_event_with_a_time_says_who_reports_what(api: KubeAPI) -> None:
    """As client-go's newer recorder writes it; an older one has no eventTime, and needs none."""
    about = {"kind": "Pod", "name": "web", "namespace": "default"}
    event = {"kind": "Event", "metadata": {"name": "e"}, "involvedObject": about}
    dated = {**event, "eventTime": "2025-01-01T00:00:00.000000Z", "reason": "r" * 129}
    with pytest.raises(Invalid) as refused:
        api.create({**dated, "reportingComponent": "a b", "message": "m" * 1025})
    assert {(cause.field, cause.reason) for cause in refused.value.causes} == {
        ("reportingController", "FieldValueInvalid"),
        ("reportingInstance", "FieldValueRequired"),
        ("action", "FieldValueRequired"),
        ("reason", "FieldValueInvalid"),
        ("message", "FieldValueInvalid"),
    }
    whole = {"reportingComponent": "example.com/a", "reportingInstance": "a-1", "action": "Act"}
    api.create({**dated, **whole, "reason": "r" * 128})
    api.create({**event, "metadata": {"name": "old"}})


def test_an_event_about_no_namespace_belongs_to_default(api: KubeAPI) -> None:
    """Or, with an eventTime, to kube-system, too."""
    node = {"kind": "Node", "name": "node-1"}
    event = {"kind": "Event", "metadata": {"name": "e"}, "involvedObject": node}
    api.create(event)
    with pytest.raises(Invalid, match=r'involvedObject.namespace: Invalid value: "": does not'):
        api.create(event, namespace="kube-system")
    dated = {"eventTime": "2025-01-01T00:00:00.000000Z", "reason": "a", "action": "b"}
    dated |= {"reportingComponent": "example.com/a", "reportingInstance": "a-1"}
    api.create({**event, **dated}, namespace="kube-system")
    with pytest.raises(Invalid, match=r"does not match event\.namespace"):
        api.create({**event, **dated}, namespace="kube-public")

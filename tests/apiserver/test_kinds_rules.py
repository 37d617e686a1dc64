"""What Kubernetes 1.34 refuses of Services, EndpointSlices, Nodes, templates and gated pods.

Sources: pkg/apis/core/validation/validation.go, pkg/apis/discovery/validation/validation.go,
pkg/apis/apps/validation/validation.go, pkg/apis/batch/validation/validation.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from api_builders import a_pod, a_statefulset, a_workload
from kind_samples import sample

from kubesim.apiserver import KubeAPI
from kubesim.errors import BadRequest, Invalid

Objects = dict[str, Any]


def service(**spec: Any) -> Objects:
    return sample("v1", "Service", spec={"ports": [{"port": 80}], "selector": {"a": "b"}, **spec})


def endpoint(type_: str = "IPv4", **fields: Any) -> Objects:
    item = {"addresses": ["10.0.0.1"], **fields}
    return sample("discovery.k8s.io/v1", "EndpointSlice", addressType=type_, endpoints=[item])


def node(**spec: Any) -> Objects:
    return sample("v1", "Node", spec=spec)


def template(**fields: Any) -> Objects:
    workload = a_workload("Deployment")
    workload["spec"]["template"]["metadata"].update(fields.pop("metadata", {}))
    workload["spec"]["template"]["spec"].update(fields)
    return workload


def job(**spec: Any) -> Objects:
    pods = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "nginx"}]}
    return sample("batch/v1", "Job", spec={"template": {"spec": pods}, **spec})


def cronjob(**spec: Any) -> Objects:
    jobs = {"spec": {**job()["spec"], **spec}}
    return sample("batch/v1", "CronJob", spec={"schedule": "@daily", "jobTemplate": jobs})


def owned(**owner: Any) -> Objects:
    config = sample("v1", "ConfigMap")
    config["metadata"]["ownerReferences"] = [{"name": "a", "uid": "1", **owner}]
    return config


def held(group: str, kind: str, finalizer: str, **fields: Any) -> Objects:
    document = sample(group, kind, **fields)
    document["metadata"]["finalizers"] = [finalizer]
    return document


BALANCER = "may only be used when `type` is 'LoadBalancer'"
WINDOWS = "cannot be set for a windows pod"
LINUX = "windows options cannot be set for a linux pod"
DISTRIBUTIONS = '"PreferClose", "PreferSameNode", "PreferSameZone"'
LOOPBACK = "may not be in the loopback range (127.0.0.0/8, ::1/128)"
SECURITY = "spec.containers[0].securityContext"
CLAIM = "spec.volumes[0].ephemeral.volumeClaimTemplate.spec"
AFFINITY = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution"


def container(**context: Any) -> Objects:
    return {"name": "main", "image": "nginx", "securityContext": context}


REFUSED: list[tuple[str, str, Objects]] = [
    (
        "spec.externalTrafficPolicy",
        'Invalid value: "Local": may only be set for externally-accessible services',
        service(externalTrafficPolicy="Local"),
    ),
    (
        "spec.healthCheckNodePort",
        "Invalid value: 30001: may only be set when `type` is 'LoadBalancer' and "
        "`externalTrafficPolicy` is 'Local'",
        service(healthCheckNodePort=30001),
    ),
    ("spec.loadBalancerClass", f"Forbidden: {BALANCER}", service(loadBalancerClass="a/b")),
    (
        "spec.allocateLoadBalancerNodePorts",
        f"Forbidden: {BALANCER}",
        service(allocateLoadBalancerNodePorts=True),
    ),
    (
        "spec.LoadBalancerSourceRanges[0]",
        'Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
        service(type="LoadBalancer", loadBalancerSourceRanges=["x"]),
    ),
    (
        "spec.externalIPs[0]",
        f'Invalid value: "127.0.0.1": {LOOPBACK}',
        service(externalIPs=["127.0.0.1"]),
    ),
    (
        "spec.ipFamilies[0]",
        'Unsupported value: "x": supported values: "IPv4", "IPv6"',
        service(ipFamilies=["x"]),
    ),
    (
        "spec.ipFamilyPolicy",
        'Invalid value: "RequireDualStack": this cluster is not configured for dual-stack services',
        service(ipFamilyPolicy="RequireDualStack"),
    ),
    (
        "spec.trafficDistribution",
        f'Unsupported value: "x": supported values: {DISTRIBUTIONS}',
        service(trafficDistribution="x"),
    ),
    (
        "spec.sessionAffinityConfig.clientIP.timeoutSeconds",
        "Invalid value: 0: must be greater than 0 and less than 86400",
        service(
            sessionAffinity="ClientIP", sessionAffinityConfig={"clientIP": {"timeoutSeconds": 0}}
        ),
    ),
    (
        "spec.clusterIPs",
        "Forbidden: may not be set for ExternalName services",
        service(type="ExternalName", externalName="a.b", clusterIP="None"),
    ),
    (
        "endpoints[0].addresses[0]",
        'Invalid value: "fd00::1": must be a valid IPv4 address',
        endpoint(addresses=["fd00::1"]),
    ),
    (
        "endpoints[0].addresses[0]",
        f'Invalid value: "127.0.0.1": {LOOPBACK}',
        endpoint(addresses=["127.0.0.1"]),
    ),
    (
        "endpoints[0].hints.forZones[1].name",
        'Duplicate value: "a"',
        endpoint(hints={"forZones": [{"name": "a"}, {"name": "a"}]}),
    ),
    (
        "spec.podCIDRs[0]",
        'Invalid value: "x": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)',
        node(podCIDR="x"),
    ),
    (
        "spec.finalizers[0]",
        'Invalid value: "foo": name is neither a standard finalizer name nor is it fully qualified',
        sample("v1", "Namespace", spec={"finalizers": ["foo"]}),
    ),
    (
        "metadata.finalizers[0]",
        'Invalid value: "foo": name is neither a standard finalizer name nor is it fully qualified',
        held("v1", "ConfigMap", "foo"),
    ),
    (
        "metadata.ownerReferences",
        'Invalid value: {"name":"a","uid":"1","apiVersion":"v1","kind":"Event"}: '
        "/v1, Kind=Event is disallowed from being an owner",
        owned(apiVersion="v1", kind="Event"),
    ),
    (
        "spec.template.spec.ephemeralContainers",
        "Forbidden: ephemeral containers not allowed in pod template",
        template(ephemeralContainers=[{"name": "e", "image": "nginx"}]),
    ),
    (
        "spec.ephemeralContainers",
        "Forbidden: cannot be set on create",
        a_pod(ephemeralContainers=[{"name": "e", "image": "nginx"}]),
    ),
    ("spec.hostPID", f"Forbidden: {WINDOWS}", a_pod(os={"name": "windows"}, hostPID=True)),
    (
        f"{SECURITY}.privileged",
        f"Forbidden: {WINDOWS}",
        a_pod(os={"name": "windows"}, containers=[container(privileged=False)]),
    ),
    (
        f"{SECURITY}.windowsOptions",
        f"Forbidden: {LINUX}",
        a_pod(os={"name": "linux"}, containers=[container(windowsOptions={"runAsUserName": "a"})]),
    ),
    (
        f"{CLAIM}.accessModes",
        "Required value: at least 1 access mode is required",
        a_pod(
            volumes=[
                {
                    "name": "v",
                    "ephemeral": {
                        "volumeClaimTemplate": {"spec": {"resources": {"requests": {"storage": 1}}}}
                    },
                }
            ]
        ),
    ),
    (
        "spec.ordinals.start",
        "Invalid value: -1: must be greater than or equal to 0",
        a_statefulset(ordinals={"start": -1}),
    ),
    (
        "spec.managedBy",
        'Invalid value: "foo": must be a domain-prefixed path (such as "acme.io/foo")',
        job(managedBy="foo"),
    ),
    (
        "spec.jobTemplate.spec.manualSelector",
        'Unsupported value: true: supported values: "nil", "false"',
        cronjob(manualSelector=True),
    ),
    (
        "data",
        "Required value: data is mandatory",
        sample("apps/v1", "ControllerRevision", revision=1),
    ),
]


def broken_rules(refused: pytest.ExceptionInfo[Invalid]) -> list[tuple[str, str]]:
    return [(cause.field, cause.message) for cause in refused.value.causes]


@pytest.mark.parametrize(("path", "message", "document"), REFUSED)
def test_an_object_that_breaks_a_rule_is_refused(
    api: KubeAPI, path: str, message: str, document: Objects
) -> None:
    """With the path and the text of the real server."""
    with pytest.raises(Invalid) as refused:
        api.create(document)
    assert (path, message) in broken_rules(refused)


def test_labels_and_annotations_of_a_template_are_named_without_metadata(api: KubeAPI) -> None:
    """ValidatePodTemplateSpec: `spec.template.annotations`, `spec.template.labels`."""
    with pytest.raises(Invalid) as refused:
        api.create(template(metadata={"annotations": {"a b": "c"}, "labels": {"app": "a b"}}))
    paths = {path for path, _ in broken_rules(refused)}
    assert paths >= {"spec.template.annotations", "spec.template.labels"}


@pytest.mark.parametrize(
    "document",
    [
        service(type="NodePort", externalTrafficPolicy="Local"),
        service(externalIPs=["192.0.2.1"]),
        service(ipFamilyPolicy="PreferDualStack"),
        service(trafficDistribution="PreferSameZone", internalTrafficPolicy="Local"),
        service(type="LoadBalancer", loadBalancerSourceRanges=[" 10.0.0.0/8 "]),
        endpoint("IPv6", addresses=["fd00::1"]),
        endpoint("FQDN", addresses=["db.example.com"]),
        node(podCIDRs=["10.0.0.0/24", "fd00::/64"], taints=[{"key": "a/b", "effect": "NoExecute"}]),
        held("v1", "ConfigMap", "example.com/hold"),
        held("v1", "ConfigMap", "orphan"),
        held("coordination.k8s.io/v1", "Lease", "foo", spec={}),
        owned(apiVersion="events.k8s.io/v1", kind="Event"),
        a_pod(os={"name": "windows"}),
        job(managedBy="example.com/mine"),
        cronjob(manualSelector=False),
        a_statefulset(ordinals={"start": 0}),
    ],
)
def test_valid_neighbours_are_accepted(api: KubeAPI, document: Objects) -> None:
    """Nothing more than the rule is refused."""
    assert api.create(document)["metadata"]["uid"]


def test_a_service_drops_what_only_its_old_type_had(api: KubeAPI) -> None:
    """`kubectl patch service -p '{"spec":{"type":"ClusterIP"}}'` works (strategy.go)."""
    balancer = api.create(service(type="LoadBalancer", externalTrafficPolicy="Local"))
    assert 30_000 <= balancer["spec"]["healthCheckNodePort"] < 32_768
    balancer["spec"]["type"] = "ClusterIP"
    spec = api.update(balancer)["spec"]
    gone = {"healthCheckNodePort", "externalTrafficPolicy", "allocateLoadBalancerNodePorts"}
    assert not gone & spec.keys()
    assert spec["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert spec["clusterIP"] == balancer["spec"]["clusterIP"]


def test_the_class_of_a_load_balancer_is_set_once(api: KubeAPI) -> None:
    """validateLoadBalancerClassField."""
    balancer = api.create(service(type="LoadBalancer", loadBalancerClass="a.com/b"))
    balancer["spec"]["loadBalancerClass"] = "a.com/c"
    with pytest.raises(Invalid) as refused:
        api.update(balancer)
    rule = 'Invalid value: "a.com/c": may not change once set'
    assert broken_rules(refused) == [("spec.loadBalancerClass", rule)]


def test_a_config_of_session_affinity_without_affinity_is_dropped(api: KubeAPI) -> None:
    """SetDefaults_Service."""
    created = api.create(service(sessionAffinityConfig={"clientIP": {"timeoutSeconds": 5}}))
    assert "sessionAffinityConfig" not in created["spec"]
    sticky = {**service(sessionAffinity="ClientIP"), "metadata": {"name": "sticky"}}
    config = api.create(sticky)["spec"]["sessionAffinityConfig"]
    assert config == {"clientIP": {"timeoutSeconds": 10_800}}


def test_a_node_keeps_its_provider_and_its_range(api: KubeAPI) -> None:
    """ValidateNodeUpdate: both may be set once."""
    created = api.create(node())
    created["spec"] = {"providerID": "a://1", "podCIDR": "10.0.0.0/24"}
    created = api.update(created)
    created["spec"] = {"providerID": "a://2", "podCIDR": "10.0.1.0/24"}
    with pytest.raises(Invalid) as refused:
        api.update(created)
    assert broken_rules(refused) == [
        (
            "spec.podCIDRs",
            'Forbidden: node updates may not change podCIDR except from "" to valid',
        ),
        (
            "spec.providerID",
            'Forbidden: node updates may not change providerID except from "" to valid',
        ),
    ]


def terms(*expressions: Objects) -> Objects:
    required = {"nodeSelectorTerms": [{"matchExpressions": list(expressions)}]}
    _, _, field = AFFINITY.rpartition(".")
    return {"nodeAffinity": {field: required}}


ZONE = {"key": "zone", "operator": "In", "values": ["a"]}
DISK = {"key": "disk", "operator": "Exists"}
GATES = [{"name": "example.com/g"}]


def change(api: KubeAPI, pod: Objects, edit: Callable[[Objects], None]) -> Objects:
    """Update a new pod's spec."""
    created = api.create(pod)
    edit(created["spec"])
    return api.update(created)


def test_a_gated_pod_may_be_told_more_about_its_node(api: KubeAPI) -> None:
    """Additions alone, also in the write that removes the last gate (ValidatePodUpdate)."""
    gated = a_pod(schedulingGates=GATES, nodeSelector={"a": "b"}, affinity=terms(ZONE))

    def edit(spec: Objects) -> None:
        spec.update(nodeSelector={"a": "b", "c": "d"}, affinity=terms(ZONE, DISK))
        del spec["schedulingGates"]

    assert change(api, gated, edit)["spec"]["nodeSelector"] == {"a": "b", "c": "d"}


@pytest.mark.parametrize(
    ("path", "rule", "edit"),
    [
        ("spec.nodeSelector", "only additions", {"nodeSelector": {"a": "c"}}),
        (f"{AFFINITY}.nodeSelectorTerms[0]", "only additions", {"affinity": terms(DISK)}),
        (f"{AFFINITY}.nodeSelectorTerms", "no additions/deletions", {"affinity": {}}),
        ("spec", "pod updates may not change fields", {"hostname": "x"}),
    ],
)
def test_a_gated_pod_may_not_be_told_something_else(
    api: KubeAPI, path: str, rule: str, edit: Objects
) -> None:
    """validateNodeSelectorMutation, validateNodeAffinityMutation."""
    gated = a_pod(schedulingGates=GATES, nodeSelector={"a": "b"}, affinity=terms(ZONE))
    with pytest.raises(Invalid) as refused:
        change(api, gated, lambda spec: spec.update(edit))
    assert [(field, rule in text) for field, text in broken_rules(refused)] == [(path, True)]


def test_updates_of_a_pod_have_their_own_texts(api: KubeAPI) -> None:
    """Containers that come or go, and a deadline that is removed."""
    with pytest.raises(Invalid, match=r"spec.containers: Forbidden: pod updates may not add or"):
        change(api, a_pod(), lambda spec: spec["containers"].append(container() | {"name": "b"}))
    with pytest.raises(Invalid, match="must not update from a positive integer to nil value"):
        change(
            api, a_pod("late", activeDeadlineSeconds=5), lambda s: s.pop("activeDeadlineSeconds")
        )


@pytest.mark.parametrize(
    "document",
    [
        service(ports=[{"port": {"a": "b"}}]),
        service(type="NodePort", ports=[{"port": 80, "nodePort": [1]}]),
        service(ports=3),
    ],
)
def test_a_value_of_the_wrong_type_cannot_be_decoded(api: KubeAPI, document: Objects) -> None:
    """Also where the server would use it before the rules see it."""
    with pytest.raises(BadRequest, match="cannot be handled as a Service: json: cannot unmarshal"):
        api.create(document)

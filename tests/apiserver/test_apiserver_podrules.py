"""Specs of pods that Kubernetes 1.34 refuses, with paths and upstream's texts, and valid ones.

Source: pkg/apis/core/validation/validation.go. The rules are the same in a workload's template.
"""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import a_pod, a_statefulset, a_workload

from kubesim.apiserver import KubeAPI
from kubesim.errors import Invalid

MAIN = {"name": "main", "image": "nginx"}
FIRST = "spec.containers[0]"
Row = tuple[str, str, dict[str, Any]]


def main(**fields: Any) -> dict[str, Any]:
    return {"containers": [{**MAIN, **fields}]}


def ports(*items: dict[str, Any]) -> dict[str, Any]:
    return main(ports=list(items))


def amounts(**sides: Any) -> dict[str, Any]:
    return main(resources=sides)


def liveness(**probe: Any) -> dict[str, Any]:
    return main(livenessProbe=probe)


def init(**fields: Any) -> dict[str, Any]:
    return {**main(), "initContainers": [{"name": "init", "image": "busybox", **fields}]}


def mounts(*items: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {**main(volumeMounts=list(items)), "volumes": [{"name": "v"}], **fields}


MOUNT = {"name": "v", "mountPath": "/v"}
TCP = {"tcpSocket": {"port": 80}}
CHARSET = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
LABEL = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and"
STANDARD = "must be a standard resource type or fully qualified"
ONLY_SIDECARS = "Forbidden: may not be set for init containers without restartPolicy=Always"
LIMIT = "Required value: Limit must be set for non overcommitable resources"
SOURCE = (
    'Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or '
    "`secretKeyRef`"
)
IP = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
MODE = "must be a number between 0 and 0777 (octal), both inclusive"

CONTAINERS: list[Row] = [
    # ports
    (
        f"{FIRST}.ports[0].name",
        'Invalid value: "abcdefghijklmnop": must be no more than 15 bytes',
        ports({"containerPort": 80, "name": "abcdefghijklmnop"}),
    ),
    (
        f"{FIRST}.ports[0].name",
        f'Invalid value: "Http": {CHARSET}',
        ports({"containerPort": 80, "name": "Http"}),
    ),
    (
        f"{FIRST}.ports[1].name",
        'Duplicate value: "a"',
        ports({"containerPort": 80, "name": "a"}, {"containerPort": 81, "name": "a"}),
    ),
    (
        f"{FIRST}.ports[0].hostPort",
        "Invalid value: 65536: must be between 1 and 65535, inclusive",
        ports({"containerPort": 80, "hostPort": 65536}),
    ),
    (
        f"{FIRST}.ports[1].hostPort",
        'Duplicate value: "TCP//8080"',
        ports({"containerPort": 80, "hostPort": 8080}, {"containerPort": 81, "hostPort": 8080}),
    ),
    (
        f"{FIRST}.ports[0].hostPort",
        "Invalid value: 81: must match `containerPort` when `hostNetwork` is true",
        {**ports({"containerPort": 80, "hostPort": 81}), "hostNetwork": True},
    ),
    # mounts and volumes
    (f"{FIRST}.volumeMounts[0].name", 'Not found: "ghost"', mounts({**MOUNT, "name": "ghost"})),
    (
        f"{FIRST}.volumeMounts[1].mountPath",
        'Invalid value: "/v": must be unique',
        mounts(MOUNT, MOUNT),
    ),
    (f"{FIRST}.volumeMounts[0].mountPath", "Required value", mounts({"name": "v"})),
    (
        f"{FIRST}.volumeMounts.subPath",
        "Invalid value: \"../a\": must not contain '..'",
        mounts({**MOUNT, "subPath": "../a"}),
    ),
    (
        f"{FIRST}.volumeMounts.subPath",
        'Invalid value: "/a": must be a relative path',
        mounts({**MOUNT, "subPath": "/a"}),
    ),
    (
        "spec.volumes[1].name",
        'Duplicate value: "v"',
        {**main(), "volumes": [{"name": "v"}, {"name": "v"}]},
    ),
    (
        "spec.volumes[0].hostPath",
        "Forbidden: may not specify more than 1 volume type",
        {**main(), "volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]},
    ),
    ("spec.volumes[0].name", LABEL, {**main(), "volumes": [{"name": "V"}]}),
    (
        "spec.volumes[0].secret.secretName",
        "Required value",
        {**main(), "volumes": [{"name": "v", "secret": {}}]},
    ),
    (
        "spec.volumes[0].configMap.defaultMode",
        f"Invalid value: 512: {MODE}",
        {**main(), "volumes": [{"name": "v", "configMap": {"name": "c", "defaultMode": 512}}]},
    ),
    (
        "spec.volumes[0].hostPath.type",
        'Unsupported value: "Folder": supported values: "", "BlockDevice", "CharDevice"',
        {**main(), "volumes": [{"name": "v", "hostPath": {"path": "/a", "type": "Folder"}}]},
    ),
    # resources
    (
        f"{FIRST}.resources.requests[cpus]",
        f'Invalid value: "cpus": {STANDARD}',
        amounts(requests={"cpus": "1"}),
    ),
    (
        f"{FIRST}.resources.limits[foo]",
        'Invalid value: "foo": must be a standard resource for containers',
        amounts(limits={"foo": "1"}),
    ),
    (f"{FIRST}.resources.limits", LIMIT, amounts(requests={"nvidia.com/gpu": "1"})),
    (
        f"{FIRST}.resources.limits[nvidia.com/gpu]",
        'Invalid value: "500m": must be an integer',
        amounts(limits={"nvidia.com/gpu": "500m"}),
    ),
    (
        f"{FIRST}.resources.requests",
        'Invalid value: "1": must be equal to nvidia.com/gpu limit of 2',
        amounts(limits={"nvidia.com/gpu": "2"}, requests={"nvidia.com/gpu": "1"}),
    ),
    (
        f"{FIRST}.resources",
        "Forbidden: HugePages require cpu or memory",
        amounts(limits={"hugepages-2Mi": "4Mi"}),
    ),
    (
        f"{FIRST}.resources.limits[hugepages-2Mi]",
        'Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi',
        amounts(limits={"hugepages-2Mi": "3Mi", "cpu": "1"}),
    ),
    # probes and hooks
    (
        f"{FIRST}.livenessProbe",
        "Required value: must specify a handler type",
        liveness(periodSeconds=5),
    ),
    (
        f"{FIRST}.livenessProbe.tcpSocket",
        "Forbidden: may not specify more than 1 handler type",
        liveness(**TCP, exec={"command": ["true"]}),
    ),
    (
        f"{FIRST}.livenessProbe.successThreshold",
        "Invalid value: 2: must be 1",
        liveness(**TCP, successThreshold=2),
    ),
    (
        f"{FIRST}.livenessProbe.periodSeconds",
        "Invalid value: -1: must be greater than or equal to 0",
        liveness(**TCP, periodSeconds=-1),
    ),
    (
        f"{FIRST}.livenessProbe.httpGet.port",
        "Invalid value: 0: must be between 1 and 65535, inclusive",
        liveness(httpGet={"port": 0}),
    ),
    (
        f"{FIRST}.livenessProbe.httpGet.scheme",
        'Unsupported value: "FTP": supported values: "HTTP", "HTTPS"',
        liveness(httpGet={"port": 80, "scheme": "FTP"}),
    ),
    (
        f"{FIRST}.readinessProbe.terminationGracePeriodSeconds",
        "Invalid value: 3: must not be set for readinessProbes",
        main(readinessProbe={**TCP, "terminationGracePeriodSeconds": 3}),
    ),
    (
        f"{FIRST}.lifecycle.preStop",
        "Required value: must specify a handler type",
        main(lifecycle={"preStop": {}}),
    ),
    (
        f"{FIRST}.lifecycle.preStop.sleep",
        "Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",
        main(lifecycle={"preStop": {"sleep": {"seconds": 31}}}),
    ),
    # environment
    (
        f"{FIRST}.env[0].valueFrom",
        'Invalid value: "": may not be specified when `value` is not empty',
        main(
            env=[
                {
                    "name": "A",
                    "value": "1",
                    "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}},
                }
            ]
        ),
    ),
    (f"{FIRST}.env[0].valueFrom", SOURCE, main(env=[{"name": "A", "valueFrom": {}}])),
    (
        f"{FIRST}.env[0].name",
        'Invalid value: "A=B": a valid environment variable name must consist only of printable '
        "ASCII characters other than '='",
        main(env=[{"name": "A=B"}]),
    ),
    (
        f"{FIRST}.env[0].valueFrom.fieldRef.fieldPath",
        'Invalid value: "spec.image": error converting fieldPath: field label not supported',
        main(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.image"}}}]),
    ),
    (
        f"{FIRST}.envFrom",
        'Invalid value: "": must specify one of: `configMapRef` or `secretRef`',
        main(envFrom=[{"prefix": "A"}]),
    ),
    # policies
    (
        "spec.dnsPolicy",
        'Unsupported value: "Sometimes": supported values: "ClusterFirstWithHostNet", '
        '"ClusterFirst", "Default", "None"',
        {**main(), "dnsPolicy": "Sometimes"},
    ),
    (
        "spec.dnsConfig",
        "Required value: must provide `dnsConfig` when `dnsPolicy` is None",
        {**main(), "dnsPolicy": "None"},
    ),
    (
        f"{FIRST}.imagePullPolicy",
        'Unsupported value: "Often": supported values: "Always", "IfNotPresent", "Never"',
        main(imagePullPolicy="Often"),
    ),
    (
        f"{FIRST}.terminationMessagePolicy",
        'Unsupported value: "Log": supported values: "File", "FallbackToLogsOnError"',
        main(terminationMessagePolicy="Log"),
    ),
    # init containers
    ("spec.initContainers[0].readinessProbe", ONLY_SIDECARS, init(readinessProbe=TCP)),
    ("spec.initContainers[0].lifecycle", ONLY_SIDECARS, init(lifecycle={"preStop": {}})),
    (
        "spec.initContainers[0].livenessProbe",
        "Required value: must specify a handler type",
        init(restartPolicy="Always", livenessProbe={"periodSeconds": 1}),
    ),
    # security
    (
        f"{FIRST}.securityContext.runAsUser",
        "Invalid value: -5: must be between 0 and 4294967295, inclusive",
        main(securityContext={"runAsUser": -5}),
    ),
    (
        f"{FIRST}.securityContext",
        "cannot set `allowPrivilegeEscalation` to false and `privileged` to true",
        main(securityContext={"privileged": True, "allowPrivilegeEscalation": False}),
    ),
    (
        "spec.securityContext.fsGroup",
        "Invalid value: -1: must be between 0 and 4294967295, inclusive",
        {**main(), "securityContext": {"fsGroup": -1}},
    ),
    (
        "spec.securityContext.seccompProfile.type",
        'Unsupported value: "Soft": supported values: "Localhost", "RuntimeDefault", "Unconfined"',
        {**main(), "securityContext": {"seccompProfile": {"type": "Soft"}}},
    ),
    # names
    (
        "spec.hostAliases[0].ip",
        f'Invalid value: "": {IP}',
        {**main(), "hostAliases": [{"hostnames": ["a"]}]},
    ),
    ("spec.hostname", f'Invalid value: "A": {LABEL}', {**main(), "hostname": "A"}),
    ("spec.serviceAccountName", 'Invalid value: "A b"', {**main(), "serviceAccountName": "A b"}),
]


def affinity(**kinds: Any) -> dict[str, Any]:
    return {**main(), "affinity": kinds}


def nodes(*expressions: dict[str, Any], **term: Any) -> dict[str, Any]:
    term = {"matchExpressions": list(expressions)} if expressions else term
    return affinity(nodeAffinity={REQUIRED: {"nodeSelectorTerms": [term]}})


def near(**term: Any) -> dict[str, Any]:
    term = {"labelSelector": {"matchLabels": {"a": "b"}}, "topologyKey": "zone", **term}
    return affinity(podAffinity={REQUIRED: [term]})


def weighted(kind: str, weight: int) -> dict[str, Any]:
    if kind == "nodeAffinity":
        return affinity(nodeAffinity={PREFERRED: [{"weight": weight, "preference": {}}]})
    return affinity(
        **{kind: {PREFERRED: [{"weight": weight, "podAffinityTerm": {"topologyKey": "z"}}]}}
    )


def spread(**fields: Any) -> dict[str, Any]:
    constraint = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
    return {**main(), "topologySpreadConstraints": [{**constraint, **fields}]}


def tolerations(**fields: Any) -> dict[str, Any]:
    return {**main(), "tolerations": [fields]}


REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
NODE = f"spec.affinity.nodeAffinity.{REQUIRED}.nodeSelectorTerms"
ITEM = f"{NODE}[0].matchExpressions[0]"
POD = f"spec.affinity.podAffinity.{REQUIRED}[0]"
SPREAD = "spec.topologySpreadConstraints[0]"
WEIGHT = "must be in the range 1-100"
OPERATOR = "not a valid selector operator"
NAME_PART = "name part must consist of alphanumeric characters, '-', '_' or '.'"
LABEL_VALUE = "a valid label must be an empty string or consist of alphanumeric characters"

SCHEDULING: list[Row] = [
    (
        NODE,
        "Required value: must have at least one node selector term",
        affinity(nodeAffinity={REQUIRED: {"nodeSelectorTerms": []}}),
    ),
    (
        f"{ITEM}.operator",
        f'Invalid value: "Near": {OPERATOR}',
        nodes({"key": "a", "operator": "Near"}),
    ),
    (
        f"{ITEM}.values",
        "Required value: must be specified when `operator` is 'In' or 'NotIn'",
        nodes({"key": "a", "operator": "In"}),
    ),
    (
        f"{ITEM}.values",
        "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        nodes({"key": "a", "operator": "Exists", "values": ["b"]}),
    ),
    (
        f"{ITEM}.values",
        "Required value: must be specified single value when `operator` is 'Lt' or 'Gt'",
        nodes({"key": "a", "operator": "Gt", "values": ["1", "2"]}),
    ),
    (
        f"{ITEM}.key",
        f'Invalid value: "a b": {NAME_PART}',
        nodes({"key": "a b", "operator": "Exists"}),
    ),
    (
        f"{ITEM}.values[0]",
        f'Invalid value: "b c": {LABEL_VALUE}',
        nodes({"key": "a", "operator": "In", "values": ["b c"]}),
    ),
    (
        f"{NODE}[0].matchFields[0].key",
        'Invalid value: "metadata.uid": not a valid field selector key',
        nodes(matchFields=[{"key": "metadata.uid", "operator": "In", "values": ["a"]}]),
    ),
    (
        f"spec.affinity.nodeAffinity.{PREFERRED}[0].weight",
        f"Invalid value: 0: {WEIGHT}",
        weighted("nodeAffinity", 0),
    ),
    (
        f"spec.affinity.nodeAffinity.{PREFERRED}[0].weight",
        f"Invalid value: 101: {WEIGHT}",
        weighted("nodeAffinity", 101),
    ),
    (
        f"spec.affinity.podAntiAffinity.{PREFERRED}[0].weight",
        f"Invalid value: 200: {WEIGHT}",
        weighted("podAntiAffinity", 200),
    ),
    (f"{POD}.topologyKey", f'Invalid value: "a b": {NAME_PART}', near(topologyKey="a b")),
    (f"{POD}.topologyKey", "Required value: can not be empty", near(topologyKey="")),
    (f"{POD}.namespace", f'Invalid value: "A": {LABEL}', near(namespaces=["A"])),
    (
        f"{POD}.labelSelector.matchExpressions[0].operator",
        f'Invalid value: "Gt": {OPERATOR}',
        near(labelSelector={"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}),
    ),
    (
        f"{POD}.matchLabelKeys",
        "Forbidden: must not be specified when labelSelector is not set",
        near(labelSelector=None, matchLabelKeys=["a"]),
    ),
    (
        f"{POD}.matchLabelKeys[0]",
        'Invalid value: "k": exists in both matchLabelKeys and mismatchLabelKeys',
        near(matchLabelKeys=["k"], mismatchLabelKeys=["k"]),
    ),
    (f"{SPREAD}.maxSkew", "Invalid value: 0: must be greater than zero", spread(maxSkew=0)),
    (f"{SPREAD}.topologyKey", "Required value: can not be empty", spread(topologyKey="")),
    (
        f"{SPREAD}.whenUnsatisfiable",
        'Unsupported value: "DoNotScedule": supported values: "DoNotSchedule", "ScheduleAnyway"',
        spread(whenUnsatisfiable="DoNotScedule"),
    ),
    (f"{SPREAD}.minDomains", "Invalid value: 0: must be greater than zero", spread(minDomains=0)),
    (
        f"{SPREAD}.minDomains",
        "Invalid value: 2: can only use minDomains if whenUnsatisfiable=DoNotSchedule, not "
        "ScheduleAnyway",
        spread(minDomains=2, whenUnsatisfiable="ScheduleAnyway"),
    ),
    (
        f"{SPREAD}.{{topologyKey, whenUnsatisfiable}}",
        'Duplicate value: "{zone, DoNotSchedule}"',
        {**main(), "topologySpreadConstraints": spread()["topologySpreadConstraints"] * 2},
    ),
    (
        f"{SPREAD}.nodeTaintsPolicy",
        'Unsupported value: "Maybe": supported values: "Honor", "Ignore"',
        spread(nodeTaintsPolicy="Maybe"),
    ),
    (
        f"{SPREAD}.labelSelector.matchExpressions[0].values",
        "Required value: must be specified when `operator` is 'In' or 'NotIn'",
        spread(labelSelector={"matchExpressions": [{"key": "a", "operator": "In"}]}),
    ),
    (
        f"{SPREAD}.matchLabelKeys[0]",
        'Invalid value: "a": exists in both matchLabelKeys and labelSelector',
        spread(labelSelector={"matchLabels": {"a": "b"}}, matchLabelKeys=["a"]),
    ),
    (
        "spec.tolerations[0].key",
        f'Invalid value: "a b": {NAME_PART}',
        tolerations(key="a b", operator="Exists"),
    ),
    (
        "spec.tolerations[0].operator",
        f'Invalid value: "b c": {LABEL_VALUE}',
        tolerations(key="a", value="b c"),
    ),
    (
        "spec.nodeSelector",
        f'Invalid value: "a b": {NAME_PART}',
        {**main(), "nodeSelector": {"a b": "c"}},
    ),
    (
        "spec.nodeSelector",
        f'Invalid value: "b c": {LABEL_VALUE}',
        {**main(), "nodeSelector": {"a": "b c"}},
    ),
    (
        "spec.schedulingGates[1]",
        'Duplicate value: "a.io/g"',
        {**main(), "schedulingGates": [{"name": "a.io/g"}, {"name": "a.io/g"}]},
    ),
]


@pytest.mark.parametrize(("field", "text", "spec"), [*CONTAINERS, *SCHEDULING])
def test_what_the_real_server_refuses_is_refused(
    api: KubeAPI, field: str, text: str, spec: dict[str, Any]
) -> None:
    """422 with the path and upstream's words, for a pod and for a template."""
    with pytest.raises(Invalid) as refused:
        api.create(a_pod(**spec))
    causes = [(cause.field, cause.message) for cause in refused.value.causes]
    assert any(path == field and text in message for path, message in causes), causes
    workload = a_workload("Deployment")
    workload["spec"]["template"]["spec"].update(spec)
    with pytest.raises(Invalid) as refused:
        api.create(workload)
    assert f"spec.template.{field}" in [cause.field for cause in refused.value.causes]


def test_the_pods_of_a_statefulset_are_judged_when_they_are_made(api: KubeAPI) -> None:
    """Its containers mount what volumeClaimTemplates name: upstream leaves the template alone."""
    claims = [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]
    claims[0]["spec"]["resources"] = {"requests": {"storage": "1Gi"}}
    workload = a_statefulset(volumeClaimTemplates=claims)
    container = workload["spec"]["template"]["spec"]["containers"][0]
    container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    container["ports"] = [{"containerPort": 80, "name": "abcdefghijklmnop"}]
    assert api.create(workload)["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]


VALID: list[dict[str, Any]] = [
    main(),
    ports({"containerPort": 80, "name": "http"}, {"containerPort": 80, "protocol": "UDP"}),
    {**ports({"containerPort": 80}), "hostNetwork": True},
    main(
        env=[
            {"name": "a.b-c", "value": ""},
            {"name": "U", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
        ]
    ),
    main(
        env=[
            {
                "name": "M",
                "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}},
            }
        ]
    ),
    main(envFrom=[{"configMapRef": {"name": "c"}}, {"prefix": "S_", "secretRef": {"name": "s"}}]),
    mounts(MOUNT, {"name": "v", "mountPath": "/w", "subPath": "a/b"}),
    mounts(
        MOUNT,
        volumes=[
            {
                "name": "v",
                "projected": {
                    "sources": [
                        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
                        {"configMap": {"name": "c", "items": [{"key": "a", "path": "a"}]}},
                        {
                            "downwardAPI": {
                                "items": [
                                    {"path": "n", "fieldRef": {"fieldPath": "metadata.namespace"}}
                                ]
                            }
                        },
                    ]
                },
            }
        ],
    ),
    {**main(), "volumes": [{"name": "a", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}]},
    amounts(limits={"nvidia.com/gpu": 1, "cpu": "1"}, requests={"cpu": 0.5, "memory": "1Gi"}),
    amounts(limits={"hugepages-2Mi": "4Mi", "memory": "1Gi"}),
    amounts(requests={"ephemeral-storage": "1Gi"}),
    liveness(httpGet={"port": "http", "path": "/healthz"}),
    liveness(grpc={"port": 9000}, periodSeconds=0),
    main(
        lifecycle={"preStop": {"sleep": {"seconds": 5}}, "postStart": {"exec": {"command": ["a"]}}}
    ),
    init(
        restartPolicy="Always",
        readinessProbe=TCP,
        lifecycle={"preStop": {"exec": {"command": ["a"]}}},
    ),
    main(securityContext={"runAsUser": 0, "privileged": True, "capabilities": {"drop": ["ALL"]}}),
    {
        **main(),
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["1.1.1.1"], "searches": ["a_b.c."]},
    },
    {**main(), "hostAliases": [{"ip": "::1", "hostnames": ["a.b"]}]},
    nodes(
        {"key": "a", "operator": "Gt", "values": ["1"]}, {"key": "b", "operator": "DoesNotExist"}
    ),
    nodes(matchFields=[{"key": "metadata.name", "operator": "In", "values": ["node-1"]}]),
    near(namespaceSelector={}, matchLabelKeys=["pod-template-hash"]),
    weighted("podAffinity", 100),
    spread(minDomains=2, nodeAffinityPolicy="Ignore", matchLabelKeys=["x"], labelSelector={}),
    {**main(), "tolerations": [{"operator": "Exists"}, {"key": "a", "value": "b"}]},
    {**main(), "schedulingGates": [{"name": "a"}, {"name": "example.com/b"}]},
]


@pytest.mark.parametrize("spec", VALID)
def test_valid_specs_are_accepted(api: KubeAPI, spec: dict[str, Any]) -> None:
    """As a pod and as a template."""
    api.create(a_pod(**spec))
    workload = a_workload("Deployment")
    workload["spec"]["template"]["spec"].update(
        {name: value for name, value in spec.items() if name != "schedulingGates"}
    )
    api.create(workload)


def test_a_pod_in_the_node_s_network_has_the_node_s_ports(api: KubeAPI) -> None:
    """A hostPort that is left out is the containerPort; a template keeps it open."""
    spec = {**ports({"containerPort": 80}), "hostNetwork": True}
    (port,) = api.create(a_pod(**spec))["spec"]["containers"][0]["ports"]
    assert port == {"containerPort": 80, "hostPort": 80, "protocol": "TCP"}
    workload = a_workload("Deployment")
    workload["spec"]["template"]["spec"].update(spec)
    template = api.create(workload)["spec"]["template"]
    assert "hostPort" not in template["spec"]["containers"][0]["ports"][0]


def test_spaces_around_an_image_are_refused_in_a_pod_alone(api: KubeAPI) -> None:
    """Upstream lets a template have them (validateContainerOnlyForPod)."""
    with pytest.raises(Invalid, match="must not have leading or trailing whitespace"):
        api.create(a_pod(**main(image=" nginx")))
    workload = a_workload("Deployment")
    workload["spec"]["template"]["spec"].update(main(image=" nginx"))
    api.create(workload)


def test_a_gated_pod_has_no_node(api: KubeAPI) -> None:
    """A node may be named when the last gate is gone."""
    with pytest.raises(Invalid, match="cannot be set until all schedulingGates have been cleared"):
        api.create(a_pod(nodeName="node-1", schedulingGates=[{"name": "a"}]))

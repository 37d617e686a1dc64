"""Fields of features that Kubernetes 1.34 has off by default are dropped when they are written.

Source: pkg/features/kube_features.go, pkg/api/pod/util.go (dropDisabledFields).
"""

from __future__ import annotations

from typing import Any

import pytest
from api_builders import a_pod, a_workload

from kubesim.apiserver import KubeAPI
from kubesim.errors import Invalid

MAIN = {"name": "main", "image": "nginx"}
HOOK = {"exec": {"command": ["true"]}}
CERTIFICATE = {"signerName": "a.dev/b", "keyType": "RSA3072", "credentialBundlePath": "x"}
# (what is sent, what is stored) of a pod spec
SPECS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "HostnameOverride": ({"hostnameOverride": "a"}, {}),
    "ContainerStopSignals": (
        {"containers": [{**MAIN, "lifecycle": {"stopSignal": "SIGUSR1"}}]},
        {"containers": [MAIN]},
    ),
    "ContainerStopSignals beside a hook": (
        {"containers": [{**MAIN, "lifecycle": {"stopSignal": "SIGUSR1", "preStop": HOOK}}]},
        {"containers": [{**MAIN, "lifecycle": {"preStop": HOOK}}]},
    ),
    "ContainerRestartRules": (
        {"containers": [{**MAIN, "restartPolicyRules": [{"action": "Restart"}]}]},
        {"containers": [MAIN]},
    ),
    "ContainerRestartRules: the policy of a main container": (
        {"containers": [{**MAIN, "restartPolicy": "Never"}]},
        {"containers": [MAIN]},
    ),
    "ContainerRestartRules: the policy of init containers": (
        {
            "initContainers": [
                {**MAIN, "name": "a", "restartPolicy": "Never"},
                {**MAIN, "name": "b", "restartPolicy": "Always"},
            ]
        },
        {
            "initContainers": [
                {**MAIN, "name": "a"},
                {**MAIN, "name": "b", "restartPolicy": "Always"},
            ]
        },
    ),
    "ImageVolume": (
        {
            "containers": [{**MAIN, "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
            "volumes": [{"name": "v", "image": {"reference": "a"}}],
        },
        {"containers": [MAIN]},
    ),
    "ImageVolume beside another": (
        {"volumes": [{"name": "v", "image": {}}, {"name": "w", "emptyDir": {}}]},
        {"volumes": [{"name": "w", "emptyDir": {}}]},
    ),
    "ClusterTrustBundleProjection, PodCertificateRequest": (
        {
            "volumes": [
                {
                    "name": "v",
                    "projected": {
                        "sources": [
                            {"clusterTrustBundle": {"name": "a", "path": "b"}},
                            {"podCertificate": CERTIFICATE},
                            {"secret": {"name": "s"}},
                        ]
                    },
                }
            ]
        },
        {"volumes": [{"name": "v", "projected": {"sources": [{}, {}, {"secret": {"name": "s"}}]}}]},
    ),
}


def stored(spec: dict[str, Any], shape: dict[str, Any]) -> dict[str, Any]:
    """The parts of a stored pod spec that a test has a word about."""
    fields = ("name", "image", "lifecycle", "restartPolicy", "restartPolicyRules", "volumeMounts")
    parts: dict[str, Any] = {
        field: spec[field] for field in ("hostnameOverride", "volumes") if field in spec
    }
    for volume in parts.get("volumes", ()):
        volume.get("projected", {}).pop("defaultMode", None)
    for name in ("containers", "initContainers"):
        if name in shape:
            parts[name] = [{f: c[f] for f in fields if f in c} for c in spec[name]]
    return parts


@pytest.mark.parametrize("feature", SPECS)
def test_a_pod_and_a_template_lose_them(api: KubeAPI, feature: str) -> None:
    sent, kept = SPECS[feature]
    spec = {"containers": [MAIN], **sent}
    pod = api.create({**a_pod("p"), "spec": spec})
    assert stored(pod["spec"], kept) == kept
    workload = a_workload("Deployment")
    workload["spec"]["template"]["spec"] = spec
    deployment = api.create(workload)
    assert stored(deployment["spec"]["template"]["spec"], kept) == kept


def test_only_recursive_relabelling_is_possible(api: KubeAPI) -> None:
    """MountOption needs the feature SELinuxMount."""
    pod = a_pod("p")
    pod["spec"]["securityContext"] = {"seLinuxChangePolicy": "MountOption"}
    rule = 'spec.securityContext.seLinuxChangePolicy: Unsupported value: "MountOption": supported'
    with pytest.raises(Invalid, match=f'{rule} values: "Recursive"$'):
        api.create(pod)
    pod["spec"]["securityContext"] = {"seLinuxChangePolicy": "Recursive"}
    api.create(pod)


def test_fields_of_claims_and_slices(api: KubeAPI) -> None:
    """Taints and parts of devices, capacity that is shared, binding conditions are off."""
    group = {"apiVersion": "resource.k8s.io/v1"}
    wanted = {"deviceClassName": "a.dev", "tolerations": [{"key": "a", "effect": "NoExecute"}]}
    wanted["capacity"] = {"requests": {"memory": "1Gi"}}
    claim = {**group, "kind": "ResourceClaim", "metadata": {"name": "c"}}
    claim = api.create(
        claim | {"spec": {"devices": {"requests": [{"name": "r", "exactly": wanted}]}}}
    )
    (request,) = claim["spec"]["devices"]["requests"]
    assert set(request["exactly"]) == {"deviceClassName", "allocationMode", "count"}
    device = {
        "name": "d",
        "capacity": {"memory": {"value": "1Gi", "requestPolicy": {"default": "1Gi"}}},
        "taints": [{"key": "a", "effect": "NoExecute"}],
        "consumesCounters": [{"counterSet": "s", "counters": {"a": {"value": "1"}}}],
        "allNodes": True,
        "allowMultipleAllocations": True,
        "bindsToNode": True,
        "bindingConditions": ["a"],
        "bindingFailureConditions": ["b"],
    }
    pool = {"name": "p", "generation": 1, "resourceSliceCount": 1}
    spec = {"driver": "a.dev", "pool": pool, "nodeName": "n", "devices": [device]}
    spec["sharedCounters"] = [{"name": "s", "counters": {"a": {"value": "1"}}}]
    resource_slice = {**group, "kind": "ResourceSlice", "metadata": {"name": "s"}, "spec": spec}
    stored_spec = api.create(resource_slice)["spec"]
    assert "sharedCounters" not in stored_spec
    assert stored_spec["devices"] == [{"name": "d", "capacity": {"memory": {"value": "1Gi"}}}]


def test_fields_of_other_kinds(api: KubeAPI) -> None:
    """MutableCSINodeAllocatableCount and DRAExtendedResource are off."""
    driver = {"apiVersion": "storage.k8s.io/v1", "kind": "CSIDriver", "metadata": {"name": "d"}}
    driver = api.create({**driver, "spec": {"nodeAllocatableUpdatePeriodSeconds": 30}})
    assert "nodeAllocatableUpdatePeriodSeconds" not in driver["spec"]
    device_class = {"apiVersion": "resource.k8s.io/v1", "kind": "DeviceClass"}
    device_class |= {"metadata": {"name": "c"}, "spec": {"extendedResourceName": "a.dev/gpu"}}
    assert api.create(device_class)["spec"] == {}

"""A small valid object of each kind, and what the tests of all kinds need to know of it."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from kubesim.errors import Invalid

Sample = dict[str, Any]


def sample(api_version: str, kind: str, name: str = "sample", **fields: Any) -> Sample:
    """An object of that kind."""
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **fields}


BACKEND = {"service": {"name": "web", "port": {"number": 80}}}
INGRESS_RULE = {
    "host": "example.com",
    "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]},
}
NETWORKING = "networking.k8s.io/v1"
NETWORKING_SAMPLES = [
    sample(NETWORKING, "Ingress", spec={"rules": [INGRESS_RULE]}),
    sample(NETWORKING, "IngressClass", spec={"controller": "example.com/ingress"}),
    sample(NETWORKING, "NetworkPolicy", spec={"podSelector": {"matchLabels": {"app": "web"}}}),
    sample(
        NETWORKING,
        "IPAddress",
        "10.96.0.9",
        spec={"parentRef": {"resource": "services", "namespace": "default", "name": "web"}},
    ),
    sample(NETWORKING, "ServiceCIDR", spec={"cidrs": ["10.112.0.0/16"]}),
]
ADMISSION, MUTATING = "admissionregistration.k8s.io/v1", "admissionregistration.k8s.io/v1beta1"
RULE = {
    "operations": ["CREATE"],
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "resources": ["pods"],
    "scope": "*",
}
WEBHOOK = {
    "name": "tags.example.com",
    "clientConfig": {"url": "https://hooks.example.com/tags"},
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "rules": [RULE],
}
CONSTRAINTS = {"resourceRules": [RULE]}
MUTATION = {"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}}
ADMISSION_SAMPLES = [
    sample(ADMISSION, "ValidatingWebhookConfiguration", webhooks=[WEBHOOK]),
    sample(ADMISSION, "MutatingWebhookConfiguration", webhooks=[WEBHOOK]),
    sample(
        ADMISSION,
        "ValidatingAdmissionPolicy",
        spec={"matchConstraints": CONSTRAINTS, "validations": [{"expression": "true"}]},
    ),
    sample(
        ADMISSION,
        "ValidatingAdmissionPolicyBinding",
        spec={"policyName": "sample", "validationActions": ["Deny"]},
    ),
    sample(
        MUTATING,
        "MutatingAdmissionPolicy",
        spec={
            "matchConstraints": CONSTRAINTS,
            "reinvocationPolicy": "Never",
            "mutations": [MUTATION],
        },
    ),
    sample(MUTATING, "MutatingAdmissionPolicyBinding", spec={"policyName": "sample"}),
]
FLOW = "flowcontrol.apiserver.k8s.io/v1"
RESOURCE = "resource.k8s.io/v1"
REQUESTS = {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.example.com"}}]}
PEM = "-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----\n"
EVERYBODY = {"kind": "Group", "group": {"name": "system:authenticated"}}
FLOW_RULE = {
    "subjects": [EVERYBODY],
    "resourceRules": [
        {"verbs": ["get"], "apiGroups": [""], "resources": ["pods"], "namespaces": ["*"]}
    ],
}
OTHER_SAMPLES = [
    sample(
        "apiregistration.k8s.io/v1",
        "APIService",
        "v1.example.com",
        spec={
            "group": "example.com",
            "version": "v1",
            "groupPriorityMinimum": 100,
            "versionPriority": 10,
            "service": {"namespace": "default", "name": "api"},
        },
    ),
    sample(
        "certificates.k8s.io/v1",
        "CertificateSigningRequest",
        spec={
            "request": b64encode(PEM.encode()).decode(),
            "signerName": "example.com/signer",
            "usages": ["client auth"],
        },
    ),
    sample(
        FLOW,
        "FlowSchema",
        spec={"priorityLevelConfiguration": {"name": "sample"}, "rules": [FLOW_RULE]},
    ),
    sample(
        FLOW,
        "PriorityLevelConfiguration",
        spec={"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}},
    ),
    sample(RESOURCE, "ResourceClaim", spec={"devices": REQUESTS}),
    sample(RESOURCE, "ResourceClaimTemplate", spec={"spec": {"devices": REQUESTS}}),
    sample(
        RESOURCE,
        "DeviceClass",
        "gpu.example.com",
        spec={"selectors": [{"cel": {"expression": "true"}}]},
    ),
    sample(
        RESOURCE,
        "ResourceSlice",
        spec={
            "driver": "gpu.example.com",
            "nodeName": "node-1",
            "pool": {"name": "node-1", "generation": 1, "resourceSliceCount": 1},
            "devices": [{"name": "gpu-0"}],
        },
    ),
    sample("node.k8s.io/v1", "RuntimeClass", handler="gvisor"),
    sample(
        "v1",
        "PodTemplate",
        template={
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "main", "image": "nginx"}]},
        },
    ),
]
CONTAINER = {"name": "main", "image": "nginx"}
TEMPLATE = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [CONTAINER]}}
SELECTOR = {"matchLabels": {"app": "web"}}
WORKLOAD = {"selector": SELECTOR, "template": TEMPLATE}
JOB_TEMPLATE = {"spec": {**TEMPLATE["spec"], "restartPolicy": "Never"}}
CRD_VERSION = {
    "name": "v1",
    "served": True,
    "storage": True,
    "schema": {"openAPIV3Schema": {"type": "object"}},
}
RBAC = "rbac.authorization.k8s.io/v1"
STORAGE = "storage.k8s.io/v1"
ROLE_RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}


def _binding(kind: str) -> Sample:
    """A binding of a role that its namespace need not have."""
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "sample"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "ada"}
    return {"roleRef": reference, "subjects": [subject]}


def labelled(kind: str) -> Sample:
    """An object that owns a label and nothing else."""
    return {**sample("v1", kind), "metadata": {"name": "sample", "labels": {"team": "b"}}}


WORKLOAD_SAMPLES = [
    labelled("Namespace"),
    labelled("Node"),
    sample("v1", "Pod", spec=TEMPLATE["spec"]),
    sample("v1", "ConfigMap", data={"color": "blue"}),
    sample("v1", "Secret", data={"password": "aGk="}),
    sample("v1", "Event", involvedObject={"kind": "Pod", "name": "web", "namespace": "default"}),
    sample("coordination.k8s.io/v1", "Lease", spec={"holderIdentity": "me"}),
    sample("v1", "ServiceAccount"),
    sample("v1", "ResourceQuota", spec={"hard": {"pods": "10"}}),
    sample("v1", "LimitRange", spec={"limits": [{"type": "Pod", "max": {"cpu": "2"}}]}),
    sample(
        "v1",
        "PersistentVolumeClaim",
        spec={"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    ),
    sample(
        "v1", "Endpoints", subsets=[{"addresses": [{"ip": "10.1.2.3"}], "ports": [{"port": 80}]}]
    ),
    sample("v1", "Service", spec={"selector": {"app": "web"}, "ports": [{"port": 80}]}),
    sample("apps/v1", "Deployment", spec=WORKLOAD),
    sample("apps/v1", "ReplicaSet", spec=WORKLOAD),
    sample("apps/v1", "DaemonSet", spec=WORKLOAD),
    sample("apps/v1", "StatefulSet", spec={**WORKLOAD, "serviceName": "web"}),
    sample("apps/v1", "ControllerRevision", revision=1, data={"spec": {}}),
    sample("batch/v1", "Job", spec={"template": JOB_TEMPLATE}),
    sample(
        "batch/v1",
        "CronJob",
        spec={"schedule": "* * * * *", "jobTemplate": {"spec": {"template": JOB_TEMPLATE}}},
    ),
    sample(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        spec={
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "maxReplicas": 3,
        },
    ),
    sample("discovery.k8s.io/v1", "EndpointSlice", addressType="IPv4", endpoints=[]),
    sample("policy/v1", "PodDisruptionBudget", spec={"minAvailable": 1, "selector": SELECTOR}),
    sample("scheduling.k8s.io/v1", "PriorityClass", value=10),
    sample(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "tabs.example.com",
        spec={
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "tabs", "singular": "tab", "kind": "Tab", "listKind": "TabList"},
            "versions": [CRD_VERSION],
        },
    ),
    sample(
        "v1",
        "ReplicationController",
        spec={"replicas": 1, "selector": {"app": "web"}, "template": TEMPLATE},
    ),
    sample(RBAC, "Role", rules=[ROLE_RULE]),
    sample(RBAC, "ClusterRole", rules=[ROLE_RULE]),
    sample(RBAC, "RoleBinding", **_binding("Role")),
    sample(RBAC, "ClusterRoleBinding", **_binding("ClusterRole")),
    sample(STORAGE, "StorageClass", provisioner="example.com/disk"),
    sample(STORAGE, "VolumeAttributesClass", driverName="example.com", parameters={"tier": "a"}),
    sample(STORAGE, "CSIDriver", "csi.example.com", spec={"attachRequired": False}),
    sample(STORAGE, "CSINode", spec={"drivers": [{"name": "csi.example.com", "nodeID": "n"}]}),
    sample(STORAGE, "CSIStorageCapacity", storageClassName="standard"),
    sample(
        STORAGE,
        "VolumeAttachment",
        spec={
            "attacher": "csi.example.com",
            "nodeName": "node-1",
            "source": {"persistentVolumeName": "disk"},
        },
    ),
    sample(
        "v1",
        "PersistentVolume",
        spec={
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/data"},
        },
    ),
]
SAMPLES = [*NETWORKING_SAMPLES, *ADMISSION_SAMPLES, *OTHER_SAMPLES, *WORKLOAD_SAMPLES]


def causes_of(error: Invalid) -> list[tuple[str, str]]:
    """(field, message) of each cause."""
    return [(cause.field, cause.message) for cause in error.causes]


__all__ = ["SAMPLES", "causes_of", "sample"]

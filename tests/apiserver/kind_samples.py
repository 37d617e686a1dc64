"""A small valid object of each kind, and what the tests of all kinds need to know of it."""

from __future__ import annotations

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
SAMPLES = [*NETWORKING_SAMPLES, *ADMISSION_SAMPLES]


def causes_of(error: Invalid) -> list[tuple[str, str]]:
    """(field, message) of each cause."""
    return [(cause.field, cause.message) for cause in error.causes]


__all__ = ["SAMPLES", "causes_of", "sample"]

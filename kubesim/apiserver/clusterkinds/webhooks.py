"""Group admissionregistration.k8s.io: the configurations of admission webhooks.

They are only kept: no webhook is called. A write that one would have judged gets a warning
(`kubesim.apiserver.verbs.advice`).

Source: pkg/apis/admissionregistration/validation/validation.go, v1/defaults.go.
"""

from __future__ import annotations

from kubesim.apiserver.clusterkinds.admissionrules import (
    FAILURE_POLICIES,
    GROUP,
    MATCH_POLICIES,
    REINVOCATION_POLICIES,
    SELECTORS,
    default_match,
    validate_conditions,
    validate_rule,
)
from kubesim.apiserver.kindrules.webhookclients import validate_webhook_client
from kubesim.apiserver.kinds.services import NAME_RULE, valid_service_name
from kubesim.apiserver.podvalidation.selectors import validate_selector
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.validation import SUBDOMAIN_RULE, FieldErrors, fill
from kubesim.objects.frozen import Document, objects_in
from kubesim.objects.meta import valid_dns1123_subdomain

REVIEW_VERSIONS = ("v1", "v1beta1")
SIDE_EFFECTS = ("None", "NoneOnDryRun")
SEGMENTS_RULE = "should be a domain with at least three segments separated by dots"


def default_webhooks(configuration: Document) -> None:
    """Set the defaults: Fail, equivalent versions, empty selectors, 10 s, port 443."""
    mutating = configuration.get("kind") == "MutatingWebhookConfiguration"
    for webhook in objects_in(configuration.get("webhooks")):
        fill(webhook, "failurePolicy", "Fail")
        fill(webhook, "timeoutSeconds", 10)
        if mutating:
            fill(webhook, "reinvocationPolicy", "Never")
        default_match(webhook, ("rules",))
        client = webhook.get("clientConfig")
        service = client.get("service") if isinstance(client, dict) else None
        if isinstance(service, dict):
            fill(service, "port", 443)


def validate_webhooks(configuration: Document, errors: FieldErrors) -> None:
    """Validate each webhook: its name, rules, policies, client and versions."""
    names: set[str] = set()
    for path, webhook in errors.items("webhooks", configuration.get("webhooks")):
        _validate_name(webhook.get("name") or "", f"{path}.name", errors)
        _validate_webhook(webhook, path, errors)
        validate_webhook_client(webhook.get("clientConfig") or {}, f"{path}.clientConfig", errors)
        conditions = webhook.get("matchConditions")
        validate_conditions(conditions, f"{path}.matchConditions", errors)
        versions = webhook.get("admissionReviewVersions") or []
        _validate_versions(versions, f"{path}.admissionReviewVersions", errors)
        if webhook.get("name") in names:
            errors.duplicate(f"{path}.name", webhook["name"])
        names.add(webhook.get("name") or " ")


def _validate_name(name: str, path: str, errors: FieldErrors) -> None:
    """Validate a fully qualified name (IsFullyQualifiedName)."""
    if not name:
        errors.required(path)
    elif not valid_dns1123_subdomain(name):
        errors.invalid(path, name, SUBDOMAIN_RULE)
    elif name.count(".") < 2:
        errors.invalid(path, name, SEGMENTS_RULE)


def _validate_webhook(webhook: Document, path: str, errors: FieldErrors) -> None:
    for item, rule in errors.items(f"{path}.rules", webhook.get("rules")):
        validate_rule(rule, item, errors)
    for field, supported in (
        ("failurePolicy", FAILURE_POLICIES),
        ("matchPolicy", MATCH_POLICIES),
        ("reinvocationPolicy", REINVOCATION_POLICIES),
        ("sideEffects", SIDE_EFFECTS),
    ):
        if webhook.get(field) is not None:
            errors.one_of(f"{path}.{field}", webhook[field], supported)
        elif field == "sideEffects":
            detail = f"must specify one of {', '.join(SIDE_EFFECTS)}"
            errors.required(f"{path}.{field}", detail)
    timeout = webhook.get("timeoutSeconds")
    if timeout is not None and not 1 <= timeout <= 30:
        detail = "the timeout value must be between 1 and 30 seconds"
        errors.invalid(f"{path}.timeoutSeconds", timeout, detail)
    for selector in SELECTORS:
        validate_selector(webhook.get(selector), f"{path}.{selector}", errors)


def _validate_versions(versions: list[str], path: str, errors: FieldErrors) -> None:
    accepted = ", ".join(REVIEW_VERSIONS)
    if not versions:
        errors.required(path, f"must specify one of {accepted}")
        return
    for index, version in enumerate(versions):
        if version in versions[:index]:
            errors.invalid(f"{path}[{index}]", version, "duplicate version")
        elif not valid_service_name(version):
            errors.invalid(f"{path}[{index}]", version, NAME_RULE)
    if not set(versions) & set(REVIEW_VERSIONS):
        errors.invalid(path, versions, f"must include at least one of {accepted}")


KINDS = tuple(
    Kind(
        f"{kind}WebhookConfiguration",
        f"{kind.lower()}webhookconfigurations",
        group=GROUP,
        namespaced=False,
        categories=("api-extensions",),
        default=default_webhooks,
        validate=validate_webhooks,
        kept="no webhook is called",
        status=False,
        counted_field="webhooks",
    )
    for kind in ("Mutating", "Validating")
)

"""Group admissionregistration.k8s.io: the configurations of admission webhooks.

They are only kept: no webhook is called. A write that one would have judged gets a warning
(`kubesim.apiserver.verbs.advice`).

Source: pkg/apis/admissionregistration/validation/validation.go, v1/defaults.go,
k8s.io/apiserver/pkg/util/webhook/validation.go.
"""

from __future__ import annotations

from urllib.parse import urlsplit

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
from kubesim.apiserver.kinds.services import NAME_RULE, valid_service_name
from kubesim.apiserver.podvalidation.formats import PORT_RULE
from kubesim.apiserver.podvalidation.selectors import validate_selector
from kubesim.apiserver.registry import Kind
from kubesim.apiserver.validation import SUBDOMAIN_RULE, FieldErrors, fill
from kubesim.objects.frozen import Document, objects_in
from kubesim.objects.meta import valid_dns1123_subdomain

REVIEW_VERSIONS = ("v1", "v1beta1")
SIDE_EFFECTS = ("None", "NoneOnDryRun")
SEGMENTS_RULE = "should be a domain with at least three segments separated by dots"
URL_FORM = "; desired format: https://host[/path]"


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
        _validate_client(webhook.get("clientConfig") or {}, f"{path}.clientConfig", errors)
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


def _validate_client(client: Document, path: str, errors: FieldErrors) -> None:
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        errors.required(path, "exactly one of url or service is required")
    elif url is not None:
        _validate_url(url, f"{path}.url", errors)
    else:
        validate_service_reference(service or {}, f"{path}.service", errors)


def _validate_url(url: str, path: str, errors: FieldErrors) -> None:
    try:
        parts = urlsplit(url)
    except ValueError as error:
        errors.required(path, f"url must be a valid URL: {error}{URL_FORM}")
        return
    if parts.scheme != "https":
        detail = f"'https' is the only allowed URL scheme{URL_FORM}"
        errors.invalid(path, parts.scheme, detail)
    user, at, host = parts.netloc.rpartition("@")
    if not host:
        errors.invalid(path, host, f"host must be specified{URL_FORM}")
    for value, named in (
        (user if at else "", "user information is"),
        (parts.fragment, "fragments are"),
        (parts.query, "query parameters are"),
    ):
        if value:
            errors.invalid(path, value, f"{named} not permitted in the URL")


def validate_service_reference(service: Document, path: str, errors: FieldErrors) -> None:
    """Validate the Service that a webhook or a conversion calls.

    Args:
        service: a ServiceReference.
        path: its path.
        errors: collects the errors.

    Source: ValidateWebhookService. Its callers swap name and namespace, so a missing name is
    reported at the path of the namespace, and the other way round.
    """
    for field, reported in (("namespace", "name"), ("name", "namespace")):
        if not service.get(field):
            errors.required(f"{path}.{reported}")
    port = service.get("port") or 0
    if not 0 < port < 65536:
        errors.invalid(f"{path}.port", port, f"port is not valid: {PORT_RULE}")
    url_path = service.get("path") or ""
    if url_path in ("", "/"):
        return
    if url_path == "//":
        errors.invalid(f"{path}.path", url_path, "segment[0] may not be empty")
        return
    if not url_path.startswith("/"):
        errors.invalid(f"{path}.path", url_path, "must start with a '/'")
    for index, segment in enumerate(url_path[1:].removesuffix("/").split("/")):
        if not segment:
            errors.invalid(f"{path}.path", url_path, f"segment[{index}] may not be empty")
        elif not valid_dns1123_subdomain(segment):
            errors.invalid(f"{path}.path", url_path, f"segment[{index}]: {SUBDOMAIN_RULE}")


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

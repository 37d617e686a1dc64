"""How webhooks are reached: admission webhooks, and those that convert custom objects.

Source: k8s.io/apiserver/pkg/util/webhook/validation.go.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from kubesim.apiserver.podvalidation.formats import PORT_RULE
from kubesim.apiserver.validation import SUBDOMAIN_RULE, FieldErrors
from kubesim.objects.frozen import Document
from kubesim.objects.meta import valid_dns1123_subdomain

URL_FORM = "; desired format: https://host[/path]"


def validate_webhook_client(client: Document, path: str, errors: FieldErrors) -> None:
    """Validate how a webhook is reached: by a URL or by a Service.

    Args:
        client: a WebhookClientConfig.
        path: its path.
        errors: collects the errors.
    """
    url, service = client.get("url"), client.get("service")
    if (url is None) == (service is None):
        errors.required(path, "exactly one of url or service is required")
    elif url is not None:
        _validate_url(url, f"{path}.url", errors)
    else:
        _validate_service(service or {}, f"{path}.service", errors)


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


def _validate_service(service: Document, path: str, errors: FieldErrors) -> None:
    """Validate the Service that a webhook or a conversion calls (ValidateWebhookService).

    Its callers swap name and namespace, so a missing name is reported at the path of the namespace,
    and the other way round.
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

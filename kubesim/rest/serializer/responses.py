"""Objects and errors as responses: JSON bodies, Status documents, Warning headers.

Source: k8s.io/apiserver/pkg/endpoints/handlers/responsewriters; metav1.Status; RFC 9110 (Warning).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from kubesim.errors import StatusError
from kubesim.rest.http.response import Response

encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    408: "Timeout",
    409: "Conflict",
    410: "Expired",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    501: "NotImplemented",
    503: "ServiceUnavailable",
    504: "Timeout",
}
WARNING_LIMIT = 20


class GenericStatusError(StatusError):
    """An error whose reason follows from its HTTP code (upstream: NewGenericServerResponse)."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.reason = REASONS.get(code, "Unknown")


def object_response(
    document: Mapping[str, object], status: int = 200, warnings: Iterable[str] = ()
) -> Response:
    """Return a document as a response.

    Args:
        document: an object, a list, a Status ...
        status: HTTP code.
        warnings: texts for Warning headers; repeated ones are sent once.
    """
    response = Response(status, encode(document).encode())
    texts = list(dict.fromkeys(warnings))[:WARNING_LIMIT]
    if texts:
        response.headers = {"Warning": ", ".join(f"299 - {_quoted(text)}" for text in texts)}
    return response


def error_response(error: StatusError) -> Response:
    """Return an error as a Status."""
    headers = {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    status = error.status()
    if not error.kind and not error.name and status.get("details") is None:
        status["details"] = {}
    return Response(error.code, encode(status).encode(), headers=headers)


def rejection_response(code: int, message: str, headers: dict[str, str]) -> Response:
    """Return as a Status what the HTTP server rejected before any verb was called.

    Args:
        code: HTTP code.
        message: why the request was rejected.
        headers: headers of the response, for example Allow.
    """
    status = GenericStatusError(code, message).status()
    return Response(code, encode(status).encode(), headers=headers)


def success_response(details: Mapping[str, object], status: int = 200) -> Response:
    """Return a Status of success, for example after a deletion or an eviction."""
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }
    return object_response(body, status)


def _quoted(text: str) -> str:
    """Return a quoted-string of RFC 9110, restricted to what a header may carry."""
    plain = "".join(c if c.isprintable() and c.isascii() else "?" for c in text[:800])
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'

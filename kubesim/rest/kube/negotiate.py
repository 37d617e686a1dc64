"""Which form of answer a client wants, and how each form looks on the wire.

kubectl asks for tables, controllers for metadata alone, newer clients for protobuf with JSON as
second choice. What is not served is passed over, as the client's list goes on; JSON always does.

Source: k8s.io/apiserver/pkg/endpoints/handlers/negotiation; metav1.Status.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from kubesim.errors import StatusError
from kubesim.rest.http.router import Response

encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
JSON_NAMES = ("application/json", "application/*", "*/*")
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
FORMS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")
WARNING_LIMIT = 20


class Media(NamedTuple):
    """One entry of an Accept header: its name, and its parameters."""

    name: str
    parameters: dict[str, str]


class Form(NamedTuple):
    """The form of an answer.

    Attributes:
        kind: "" for the objects themselves, else one of FORMS.
        version: of meta.k8s.io: v1 or v1beta1.
    """

    kind: str = ""
    version: str = "v1"


def parse_accept(text: str) -> list[Media]:
    """The entries of an Accept header, in the client's order of wishes.

    >>> parse_accept("application/json;as=Table;v=v1, */*;q=0.1")[0].parameters
    {'as': 'Table', 'v': 'v1'}
    """
    found: list[tuple[float, int, Media]] = []
    for index, entry in enumerate(text.split(",")):
        name, *rest = (part.strip() for part in entry.split(";"))
        pairs = dict(part.split("=", 1) for part in rest if "=" in part)
        parameters = {key.strip(): value.strip(' "') for key, value in pairs.items()}
        try:
            weight = float(parameters.pop("q", "1"))
        except ValueError:
            weight = 0.0
        if name and weight > 0:
            found.append((-weight, index, Media(name.lower(), parameters)))
    return [media for _, _, media in sorted(found)]


def form_of(accept: str) -> Form:
    """The first form of the client's wishes that we serve.

    Raises:
        StatusError: 406, there is none.
    """
    if not accept:
        return Form()
    entries = parse_accept(accept)
    for media in entries:
        if media.name not in JSON_NAMES:
            continue
        wanted = media.parameters.get("as", "")
        version = media.parameters.get("v", "v1")
        if not wanted:
            return Form()
        if wanted in FORMS and version in ("v1", "v1beta1"):
            return Form(wanted, version)
    if not entries or any(media.name.startswith("application/") for media in entries):
        return Form()
    raise Refusal(406, f"only application/json is served; the client accepts {accept[:100]}")


class Refusal(StatusError):
    """An error whose code is all that there is to say about its reason."""

    def __init__(self, code: int, message: str, **more: Any) -> None:
        super().__init__(message, **more)
        self.code = code
        self.reason = REASONS.get(code, "Unknown")


def answer(value: Any, status: int = 200, warnings: Iterable[str] = ()) -> Response:
    """A document as an answer, with Warning headers."""
    response = Response(status, encode(value).encode())
    told = list(dict.fromkeys(warnings))[:WARNING_LIMIT]
    if told:
        response.headers = {"Warning": ", ".join(f"299 - {_quoted(text)}" for text in told)}
    return response


def failure(error: StatusError) -> Response:
    """An error as a Status."""
    headers = {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    status = error.status()
    if not error.kind and not error.name and status.get("details") is None:
        status["details"] = {}
    return Response(error.code, encode(status).encode(), headers=headers)


def refused(code: int, message: str, headers: dict[str, str]) -> Response:
    """A refusal of the front door as a Status."""
    status = Refusal(code, message).status()
    return Response(code, encode(status).encode(), headers=headers)


def success(details: dict[str, Any], status: int = 200) -> Response:
    """A Status of success: what there is to say about a deletion or an eviction."""
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }
    return answer(body, status)


def _quoted(text: str) -> str:
    """A quoted-string of RFC 9110, in what a header may carry."""
    plain = "".join(c if c.isprintable() and c.isascii() else "?" for c in text[:800])
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'

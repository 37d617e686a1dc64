"""Responses of the Kubernetes API: objects in the form that a client accepts, errors as Status.

A `Transformer` turns an object into what the client accepts: the object, its metadata alone, or a
row of a Table, whose columns `kubesim.apiserver.printers.table` defines.

Source: k8s.io/apiserver/pkg/endpoints/handlers/response.go (transformResponseObject, asTable),
handlers/responsewriters; metav1.Status; RFC 9110 (Warning).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from kubesim.apiserver.printers import table as printing
from kubesim.clock.base import Clock
from kubesim.errors import BadRequest, GenericStatusError, StatusError
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import META_GROUP
from kubesim.rest.http.response import NO_HEADERS, Response
from kubesim.rest.http.wire import Request
from kubesim.rest.kube.requestinfo import Target
from kubesim.rest.serializer.negotiation import Form

INCLUDES = ("", "Metadata", "Object", "None")
# Reasons whose constructors fill no details: k8s.io/apimachinery/pkg/api/errors/errors.go
# (NewBadRequest, NewUnauthorized ...), apiserver/pkg/endpoints/handlers/negotiation/errors.go.
WITHOUT_DETAILS = frozenset(
    {"BadRequest", "Expired", "NotAcceptable", "RequestEntityTooLarge", "ServiceUnavailable"}
    | {"Unauthorized", "UnsupportedMediaType"}
)


class Transformer:
    """Transforms the objects of one response.

    Args:
        form: the representation.
        target: kind and version of the objects.
        clock: for ages.
        include: what each row of a table contains of its object: "Metadata", "Object" or "None".
    """

    def __init__(
        self,
        form: Form,
        target: Target,
        clock: Clock,
        include: str = "Metadata",
    ) -> None:
        self.form = form
        self._target = target
        kind, version = target.kind, target.api_version
        self._kind = kind if version == kind.api_version else kind.in_version(version)
        self._clock = clock
        self._include = include or "Metadata"

    @property
    def key(self) -> tuple[str, ...]:
        """Transformers with equal keys produce equal results, so that results can be shared."""
        kind = self._kind
        return (*self.form, self._include, self._target.api_version, kind.plural)

    @property
    def stored(self) -> bool:
        """Whether the objects come from the store and are not computed when they are read."""
        # The columns of a user-defined kind can change at any time, so it counts as computed.
        return self._kind.compute is None and not self._kind.custom

    def one(self, document: Document) -> Document:
        """Transform a single object."""
        document = self._target.to_requested_version(document)
        if not self.form.kind:
            return document
        if self.form.kind == "Table":
            version = document["metadata"].get("resourceVersion", "")
            return self.table([document], {"resourceVersion": version})
        return partial(document, self.form.version)

    def list_head(self, kind: str, metadata: Mapping[str, object]) -> Document:
        """Return a list without its items.

        Args:
            kind: kind of the list.
            metadata: metadata of the list.
        """
        if self.form.kind == "Table":
            table = self.table([], metadata)
            del table["rows"]
            return table
        version = self._target.api_version
        if self.form.kind:
            kind, version = "PartialObjectMetadataList", f"{META_GROUP}/{self.form.version}"
        return {"kind": kind, "apiVersion": version, "metadata": dict(metadata)}

    def item(self, document: Document) -> Document:
        """Transform an object inside a list."""
        if self.form.kind:
            return partial(document, self.form.version)
        return self._target.to_requested_version(document)

    def cells(self, document: Document) -> tuple[list[object], float]:
        """Return the cells of a row, and the simulated second until which their ages are valid."""
        shown = self._target.to_requested_version(document)
        return printing.lasting_cells(self._kind, shown, self._clock, self._clock.now())

    def row_object(self, document: Document) -> Document | None:
        """Return the part of an object that a row contains."""
        return self._row_object(self._target.to_requested_version(document))

    def table(
        self, objects: Sequence[Document], metadata: Mapping[str, object], *, head: bool = True
    ) -> Document:
        """Return a table.

        Args:
            objects: one row each.
            metadata: metadata of the list.
            head: include the column definitions; a watch sends them once.
        """
        now = self._clock.now()
        rows = [
            {
                "cells": printing.cells(self._kind, document, self._clock, now),
                "object": self._row_object(document),
            }
            for document in objects
        ]
        return {
            "kind": "Table",
            "apiVersion": f"{META_GROUP}/{self.form.version}",
            "metadata": dict(metadata),
            "columnDefinitions": printing.columns(self._kind) if head else None,
            "rows": rows,
        }

    def _row_object(self, document: Document) -> Document | None:
        if self._include == "None":
            return None
        return document if self._include == "Object" else partial(document, self.form.version)


def partial(document: Document, version: str) -> Document:
    """Return an object's metadata only (PartialObjectMetadata)."""
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"{META_GROUP}/{version}",
        "metadata": document["metadata"],
    }


def include_of(request: Request) -> str:
    """Return the query parameter `includeObject`.

    Raises:
        BadRequest: an unknown value.
    """
    value = request.parameter("includeObject")
    if value not in INCLUDES:
        raise BadRequest(f"includeObject: Invalid value: {value[:40]!r}: Metadata, Object or None")
    return value


# -- as an HTTP response ---------------------------------------------------------------------------

encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
WARNING_LIMIT = 20


def object_response(
    document: Mapping[str, object], status: int = 200, warnings: Iterable[str] = ()
) -> Response:
    """Return a document as a response.

    Args:
        document: an object, a list, a Status ...
        status: HTTP code.
        warnings: texts for Warning headers; repeated ones are sent once.
    """
    texts = list(dict.fromkeys(warnings))[:WARNING_LIMIT]
    lines = ", ".join(f"299 - {_quoted(text)}" for text in texts)
    headers = {"Warning": lines} if texts else NO_HEADERS
    return Response(status, encode_line(document), headers=headers)


def add_warning(response: Response, text: str) -> None:
    """Add a Warning header to a response, before those that it has."""
    others = response.headers.get("Warning")
    line = f"299 - {_quoted(text)}"
    response.add_headers({"Warning": f"{line}, {others}" if others else line})


def encode_line(document: Mapping[str, object]) -> bytes:
    """Return a document as JSON that ends with a newline, as Go's encoder writes it.

    Source: k8s.io/apimachinery/pkg/runtime/serializer/json (doEncode).
    """
    return f"{encode(document)}\n".encode()


def error_response(error: StatusError) -> Response:
    """Return an error as a Status."""
    headers = {}
    if error.retry_after_seconds is not None:
        headers["Retry-After"] = str(error.retry_after_seconds)
    status = error.status()
    if status.get("details") is None and error.reason not in WITHOUT_DETAILS:
        status["details"], status["code"] = {}, status.pop("code")
    return Response(error.code, encode_line(status), headers=headers)


def internal_error_response(error: BaseException) -> Response:
    """Return the Status of an error that no handler expected; the log has its text.

    A store that cannot be reached raises an OSError: 503, and the client tries again.
    Source: k8s.io/apimachinery/pkg/api/errors (NewInternalError), apiserver/pkg/server/filters.
    """
    if isinstance(error, OSError):
        status = GenericStatusError(503, "the store cannot be reached; try again").status()
        return Response(503, encode_line(status), headers={"Retry-After": "1"})
    about = "the server's log has more"
    status = GenericStatusError(500, f"Internal error occurred: {about}").status()
    details = {"details": {"causes": [{"message": about}]}, "code": 500}
    return Response(
        500, encode_line({**{k: v for k, v in status.items() if k != "code"}, **details})
    )


def rejection_response(code: int, message: str, headers: dict[str, str]) -> Response:
    """Return as a Status what the HTTP server rejected before any verb was called.

    Args:
        code: HTTP code.
        message: why the request was rejected.
        headers: headers of the response, for example Allow.
    """
    status = GenericStatusError(code, message).status()
    return Response(code, encode_line(status), headers=headers)


def success_response(
    details: Mapping[str, object], status: int = 200, warnings: Iterable[str] = ()
) -> Response:
    """Return a Status of success, for example after a deletion or an eviction.

    Args:
        details: what was done.
        status: of the response.
        warnings: as for `object_response`.
    """
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }
    return object_response(body, status, warnings)


def _quoted(text: str) -> str:
    """Return a quoted-string of RFC 9110, restricted to what a header may carry."""
    plain = "".join(c if c.isprintable() and c.isascii() else "?" for c in text[:800])
    return '"' + plain.replace("\\", "\\\\").replace('"', '\\"') + '"'

"""Content negotiation: which representation of an object a client accepts.

kubectl accepts tables, controllers accept metadata alone, newer clients prefer protobuf and accept
JSON as a second choice. Media types that the server does not produce are skipped in the client's
order of preference; JSON is always produced.

Source: k8s.io/apiserver/pkg/endpoints/handlers/negotiation.
"""

from __future__ import annotations

from typing import NamedTuple

from kubesim.errors import GenericStatusError

JSON_NAMES = ("application/json", "application/*", "*/*")
FORMS = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")


class Media(NamedTuple):
    """One entry of an Accept header: a media type and its parameters."""

    name: str
    parameters: dict[str, str]


class Form(NamedTuple):
    """The representation of a response.

    Attributes:
        kind: "" for the objects themselves, else one of FORMS.
        version: version of meta.k8s.io: v1 or v1beta1.
    """

    kind: str = ""
    version: str = "v1"


OBJECTS = Form()  # what a client gets that has no preference


def parse_accept(text: str) -> list[Media]:
    """Parse an Accept header; the entries come in the client's order of preference.

    >>> parse_accept("application/json;as=Table;v=v1, */*;q=0.1")[0].parameters
    {'as': 'Table', 'v': 'v1'}
    """
    entries: list[tuple[float, int, Media]] = []
    for index, entry in enumerate(text.split(",")):
        name, *rest = (part.strip() for part in entry.split(";"))
        pairs = dict(part.split("=", 1) for part in rest if "=" in part)
        parameters = {key.strip(): value.strip(' "') for key, value in pairs.items()}
        try:
            weight = float(parameters.pop("q", "1"))
        except ValueError:
            weight = 0.0
        if name and weight > 0:
            entries.append((-weight, index, Media(name.lower(), parameters)))
    return [media for _, _, media in sorted(entries)]


def form_of(accept: str) -> Form:
    """Return the first representation in an Accept header that the server produces.

    Raises:
        GenericStatusError: 406, it produces none of them.
    """
    if not accept:
        return OBJECTS
    entries = parse_accept(accept)
    for media in entries:
        if media.name not in JSON_NAMES:
            continue
        kind = media.parameters.get("as", "")
        version = media.parameters.get("v", "v1")
        if not kind:
            return Form()
        if kind in FORMS and version in ("v1", "v1beta1"):
            return Form(kind, version)
    if not entries or any(media.name.startswith("application/") for media in entries):
        return Form()
    raise GenericStatusError(
        406, f"only application/json is served; the client accepts {accept[:100]}"
    )

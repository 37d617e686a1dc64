"""Request bodies in YAML: `curl --data-binary @pod.yaml`, and server-side apply of some clients.

An alias repeats a part of a YAML document by name, so a small body can stand for a huge document:
bodies with aliases are rejected. Depth and size are checked before anything is built. PyYAML parses
the text (`kubesim.yamltext`); without PyYAML, bodies in YAML get 415 and JSON still works.

Source: k8s.io/apimachinery/pkg/runtime/serializer/json (NewYAMLSerializer).
"""

from __future__ import annotations

import json
from typing import Any

from kubesim import yamltext
from kubesim.errors import BadRequest, GenericStatusError
from kubesim.rest.http.wire import JSON_DEPTH, read_json

YAML_LIMIT = 256 * 1024  # bytes; the pure Python parser is slow


def read_yaml(body: bytes) -> Any:
    """Return the one document of a YAML body, with the same bounds as JSON.

    Raises:
        BadRequest: the body is malformed, has an alias, or holds several documents.
        GenericStatusError: 413 too large, 415 PyYAML is not installed.
    """
    if len(body) > YAML_LIMIT:
        raise GenericStatusError(
            413, f"a YAML body must not be larger than {YAML_LIMIT} bytes; send JSON"
        )
    try:
        yaml = yamltext.library()
    except ImportError as error:
        raise GenericStatusError(
            415, "YAML bodies need PyYAML, which is not installed; send JSON"
        ) from error
    try:
        text = body.decode("utf-8")
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise BadRequest("a body must not contain YAML aliases (*name)")
            depth += isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent))
            depth -= isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent))
            if depth > JSON_DEPTH:
                raise BadRequest(f"the body is nested deeper than {JSON_DEPTH} levels")
        documents = yamltext.parse(text)
        if len(documents) != 1:
            raise BadRequest(f"the body holds {len(documents)} documents; send them one by one")
        return read_json(json.dumps(documents[0]).encode())
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        if isinstance(error, BadRequest):
            raise
        raise BadRequest(f"the body is not valid YAML: {error}"[:300]) from error

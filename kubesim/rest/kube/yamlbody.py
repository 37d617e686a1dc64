"""Bodies in YAML: what `curl --data-binary @pod.yaml` sends, and some clients' server-side apply.

YAML can name a part once and repeat it, which makes a small text mean a huge document, so such
names are refused here; depth and size are bounded before anything is built. PyYAML reads the text
(kubesim.yamltext); without it YAML is refused and JSON works.

Source: k8s.io/apimachinery/pkg/runtime/serializer/json (NewYAMLSerializer).
"""

from __future__ import annotations

import json
from typing import Any

from kubesim import yamltext
from kubesim.errors import BadRequest
from kubesim.rest.http.wire import JSON_DEPTH, read_json
from kubesim.rest.kube.negotiate import Refusal

YAML_LIMIT = 256 * 1024  # the pure Python reader is slow


def read_yaml(body: bytes) -> Any:
    """The one document of a YAML text, as strictly bounded as JSON.

    Raises:
        BadRequest: it is malformed, repeats a part by name, or holds several documents.
        StatusError: 413 too large, 415 there is no reader for YAML.
    """
    if len(body) > YAML_LIMIT:
        raise Refusal(413, f"a body in YAML may have {YAML_LIMIT} bytes; JSON may have more")
    try:
        yaml = yamltext.library()
    except ImportError as error:
        raise Refusal(415, "YAML is not read here, since PyYAML is missing: send JSON") from error
    try:
        text = body.decode("utf-8")
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            if isinstance(event, yaml.AliasEvent):
                raise BadRequest("a body may not repeat parts of itself by name (*name)")
            depth += isinstance(event, (yaml.SequenceStartEvent, yaml.MappingStartEvent))
            depth -= isinstance(event, (yaml.SequenceEndEvent, yaml.MappingEndEvent))
            if depth > JSON_DEPTH:
                raise BadRequest(f"the body is nested deeper than {JSON_DEPTH}")
        documents = yamltext.parse(text)
        if len(documents) != 1:
            raise BadRequest(f"the body holds {len(documents)} documents; send them one by one")
        return read_json(json.dumps(documents[0]).encode())
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        if isinstance(error, BadRequest):
            raise
        raise BadRequest(f"the body is no valid YAML: {error}"[:300]) from error

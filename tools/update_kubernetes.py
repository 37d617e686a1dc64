"""Generate the data of one Kubernetes release that ships in the package.

    python -m tools.update_kubernetes --definitions .../v1.34.0-local/_definitions.json

writes the data file and the TypedDicts of the most used kinds (`kubesim/objects/types`).
The definitions come from `pip install --target FOLDER kubernetes-validate==1.34.1`; the field
numbers of protobuf messages are kept beside this file. The output is one file of gzip members
(``zcat`` shows them as lines of JSON): a header with versions and the place of each section, then
the sections. The same sources give the same bytes, whatever the machine's clock says.

>>> data = pack({"kubernetes": "1.34.0"}, {"kinds": {"v1 Pod": "io.k8s.api.core.v1.Pod"}})
>>> unpack(data)["kinds"]
{'v1 Pod': 'io.k8s.api.core.v1.Pod'}
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from tools import typed_dicts
from tools.kubernetes_data import SECTIONS, Json, build

HERE = Path(__file__).resolve().parent
RELEASE = "1.34.0"
PACKAGE = "kubernetes-validate==1.34.1"
FIELDS = HERE / "protobuf-fields.json.gz"
OUTPUT = HERE.parent / "kubesim" / "apiserver" / "schema" / "kubernetes-1.34.json.gz"
TYPES = HERE.parent / "kubesim" / "objects" / "types"
FORMAT = 1  # of the file; `kubesim.apiserver.schema.data` reads it


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--definitions", type=Path, required=True, metavar="FILE")
    parser.add_argument("--protobuf", type=Path, default=FIELDS, metavar="FILE")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="FILE")
    parser.add_argument("--types", type=Path, default=TYPES, metavar="FOLDER")
    parser.add_argument("--no-types", action="store_true", help="write the data file alone")
    options = parser.parse_args(arguments)
    data = generate(options.definitions, options.protobuf)
    options.output.write_bytes(data)
    if not options.no_types:
        for name, source in typed_dicts.generate(*_types_in(data)).items():
            (options.types / name).write_text(source)


def generate(definitions: Path, protobuf: Path) -> bytes:
    """Return the data file.

    Args:
        definitions: JSON with the API types under ``$defs``.
        protobuf: JSON, compressed if its name ends with ``.gz``: message -> its fields.
    """
    types, fields = _read(definitions), _read(protobuf)
    header = {
        "format": FORMAT,
        "kubernetes": RELEASE,
        "sources": {
            PACKAGE: hashlib.sha256(types).hexdigest(),
            "protobuf-fields.json": hashlib.sha256(fields).hexdigest(),
        },
    }
    sections = build(json.loads(types)["$defs"], json.loads(fields))
    return pack(header, {name: sections[name] for name in SECTIONS})


def _types_in(data: bytes) -> tuple[dict[str, Json], dict[str, tuple[str, dict[str, str]]]]:
    sections = unpack(data)
    types = cast(dict[str, Json], sections["types"])
    return types, cast(dict[str, tuple[str, dict[str, str]]], sections["descriptions"])


def _read(path: Path) -> bytes:
    data = path.read_bytes()
    return gzip.decompress(data) if path.suffix == ".gz" else data


# -- the file --------------------------------------------------------------------------------------


def pack(header: Mapping[str, object], sections: Mapping[str, object]) -> bytes:
    """Return a file of a header and sections.

    Args:
        header: what is known about the content.
        sections: what can be written as JSON, by name.
    """
    places: dict[str, tuple[int, int]] = {}
    body = b""
    for name, section in sections.items():
        member = compress(_line(section))
        places[name] = (len(body), len(member))
        body += member
    return compress(_line({**header, "sections": places})) + body


def unpack(data: bytes) -> dict[str, object]:
    """Return the header (under ``""``) and every section of a file."""
    lines = gzip.decompress(data).splitlines()
    header = json.loads(lines[0])
    return {"": header} | {
        name: json.loads(line) for name, line in zip(header["sections"], lines[1:], strict=True)
    }


def _line(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def compress(data: bytes) -> bytes:
    """Return one gzip member, without a time or the name of a system in its head."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    raw = deflate.compress(data) + deflate.flush()
    return b"\x1f\x8b\x08\0\0\0\0\0\x02\xff" + raw + struct.pack("<II", zlib.crc32(data), len(data))


if __name__ == "__main__":
    main()

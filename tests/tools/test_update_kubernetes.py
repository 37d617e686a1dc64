"""The generator of the Kubernetes data: reproducible, and what it makes is what ships."""

from __future__ import annotations

import doctest
import gzip
import json
from pathlib import Path
from types import ModuleType
from typing import Any, get_args, get_type_hints

import pytest

from kubesim.apiserver.schema import data
from kubesim.objects.types import DeploymentDict, apps, containers, meta, pods
from tools import kubernetes_data, typed_dicts, update_kubernetes, zero_values
from tools.kubernetes_data import build
from tools.update_kubernetes import FIELDS, OUTPUT, TYPES, generate, main, unpack

POD = "io.k8s.api.core.v1."
SAMPLE: dict[str, Any] = {
    "$defs": {
        f"{POD}Gadget": {
            "description": "Gadget is\n  a sample.",
            "type": ["object", "null"],
            "required": ["size"],
            "properties": {
                "size": {"type": ["integer", "null"], "format": "int32", "description": "How big."},
                "apiVersion": {"type": ["string", "null"], "enum": ["v1"]},
                "on": {"type": ["boolean", "null"]},
                "hostIPC": {"type": ["boolean", "null"]},
                "path": {"type": ["string", "null"]},
                "part": {"$ref": f"#/$defs/{POD}Part"},
            },
            "x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Gadget"}],
        },
        f"{POD}Part": {"type": ["object", "null"], "description": "Part holds anything."},
    }
}
FIELDS_OF_SAMPLE: dict[str, Any] = {
    "k8s.io.api.core.v1.Gadget": [
        [7, "Part", "optional", "Part"],
        [1, "size", "optional", "int32"],
        [2, "on", "optional", "bool"],
        [3, "hostIPC", "optional", "bool"],
        [4, "volumeSource", "optional", "Source"],
        [5, "later", "optional", "string"],
        [6, "path", "optional", "string"],
    ]
}


def write_sample(folder: Path) -> tuple[Path, Path]:
    definitions, fields = folder / "definitions.json", folder / "fields.json"
    definitions.write_text(json.dumps(SAMPLE))
    fields.write_text(json.dumps(FIELDS_OF_SAMPLE))
    return definitions, fields


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    """Two runs write equal files, and no member of them carries a time."""
    definitions, fields = write_sample(tmp_path)
    written = []
    for name in ("one", "two"):
        output = tmp_path / name
        main(
            [
                f"--definitions={definitions}",
                f"--protobuf={fields}",
                f"--output={output}",
                "--no-types",
            ]
        )
        written.append(output.read_bytes())
    assert written[0] == written[1] == generate(definitions, fields)
    assert written[0][4:8] == b"\0\0\0\0"


def test_sections_of_a_sample() -> None:
    """Nulls and enumerated versions go; later fields are left out; zeros by value are marked."""
    made = build(SAMPLE["$defs"], FIELDS_OF_SAMPLE)
    gadget = made["types"][f"{POD}Gadget"]
    assert gadget["required"] == ["size"] and "description" not in gadget
    assert gadget["properties"] == {
        "apiVersion": {"type": "string"},
        "hostIPC": {"type": "boolean"},
        "on": {"type": "boolean"},
        "part": {"$ref": f"#/components/schemas/{POD}Part"},
        "path": {"type": "string"},
        "size": {"type": "integer", "format": "int32"},
    }
    assert made["types"][f"{POD}Part"]["x-kubernetes-preserve-unknown-fields"] is True
    assert made["kinds"] == {"v1 Gadget": f"{POD}Gadget"}
    assert made["descriptions"][f"{POD}Gadget"] == ("Gadget is a sample.", {"size": "How big."})
    assert made["messages"][f"{POD}Gadget"] == [
        (1, "size", "int32", ""),
        (2, "on", "bool", ""),
        (3, "hostIPC", "bool", "value"),
        (4, "volumeSource", f"{POD}Source", "inline"),
        (6, "path", "string", "value"),
        (7, "part", f"{POD}Part", ""),
    ]


def test_the_shipped_file_is_whole() -> None:
    """Its header names both sources, and the package reads each section as it was written."""
    content = unpack(OUTPUT.read_bytes())
    header: Any = content[""]
    assert header == data.header()
    assert header["kubernetes"] == "1.34.0" and len(header["sources"]) == 2
    for name in ("types", "kinds", "descriptions", "messages", "present"):
        assert getattr(data, name)() == content[name]


def test_the_shipped_messages_come_from_the_kept_field_numbers() -> None:
    """Generating the messages again from the shipped types gives what ships."""
    fields = json.loads(gzip.decompress(FIELDS.read_bytes()))
    made = json.loads(json.dumps(build(data.types(), fields)["messages"]))
    assert made == data.messages()


def test_the_structures_that_go_always_writes() -> None:
    """Those held by value, and required lists; pointers and plain values are not among them."""
    made = json.loads(json.dumps(build(data.types(), {})["present"]))
    assert made == data.present()
    assert made[f"{POD}PodSpec"] == ["containers"]
    assert made[f"{POD}Pod"] == ["metadata", "spec", "status"]
    assert "io.k8s.api.resource.v1.ResourceClaimStatus" not in made  # its devices are a list


def test_every_reference_is_known() -> None:
    """A type refers only to types that are there, and every one of them has its description."""
    for name, schema in data.types().items():
        for part in json.dumps(schema).split('"#/components/schemas/')[1:]:
            assert part.partition('"')[0] in data.types(), name
    assert data.descriptions().keys() == data.types().keys()


def test_the_typed_dicts_match_the_data() -> None:
    """Each generated file is what the generator makes of the shipped types; none is left over."""
    made = typed_dicts.generate(data.types(), data.descriptions())
    assert {path.name: path.read_text() for path in TYPES.glob("*.py")} == made


def test_typed_dicts_have_the_fields_of_their_types() -> None:
    """Names and annotations of a Deployment and a pod are those of the data; none is required."""
    assert DeploymentDict.__annotations__.keys() == {
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        "status",
    }
    spec = get_type_hints(apps.DeploymentSpecDict)
    assert spec["replicas"] is int and spec["template"] is pods.PodTemplateSpecDict
    assert spec["selector"] is meta.LabelSelectorDict
    assert not apps.DeploymentSpecDict.__required_keys__  # a part of a spec is one, too
    container = get_type_hints(pods.PodSpecDict)["containers"]
    assert get_args(container) == (containers.ContainerDict,)


@pytest.mark.parametrize("module", [kubernetes_data, typed_dicts, update_kubernetes, zero_values])
def test_the_examples_in_the_docstrings_hold(module: ModuleType) -> None:
    """The tools are no part of the package, so their examples are run here."""
    result = doctest.testmod(module)
    assert result.attempted > 0 and result.failed == 0


def test_the_table_of_zero_values_speaks_of_fields_that_exist() -> None:
    """No entry is misspelt, or left over from another release."""
    fields = set()
    for component, own in data.messages().items():
        *_, group, _, short = component.split(".")
        for _, field, _, _ in own:
            fields |= {(short, field), (f"{group}.{short}", field)}
    for component, schema in data.types().items():  # those of embedded messages, too
        fields |= {(component.rpartition(".")[2], field) for field in schema.get("properties", ())}
    named = {field for _, field in fields}
    assert named >= zero_values.VALUES and named >= zero_values.POINTER_STRINGS
    assert named >= zero_values.STRUCTURES
    for table in (
        zero_values.POINTERS_ALL_THE_SAME,
        zero_values.VALUES_ALL_THE_SAME,
        zero_values.POINTER_STRINGS_OF,
        zero_values.VALUE_STRINGS_OF,
        zero_values.STRUCTURES_OF,
        zero_values.POINTER_STRUCTURES_OF,
    ):
        assert table <= fields

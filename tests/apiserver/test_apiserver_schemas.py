"""Schemas read from the API types, and what is checked with them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from api_builders import a_pod, a_service, a_slice, a_workload

from kubesim.apiserver import KubeAPI, default_registry
from kubesim.apiserver.schema import schemas
from kubesim.apiserver.schema.strict import parse_json
from kubesim.apiserver.schema.structural import shape_of, unknown_fields
from kubesim.errors import BadRequest, Invalid

REGISTRY = default_registry()


@pytest.mark.parametrize("kind", [kind.kind for kind in REGISTRY.kinds()])
def test_every_kind_has_a_whole_schema(kind: str) -> None:
    """Each kind has a schema, and every part that it refers to is there and described."""
    parts = schemas.components(REGISTRY.find(kind))
    own = parts[schemas.component_name(REGISTRY.find(kind))]
    assert own["description"] and "metadata" in own["properties"]
    assert own["x-kubernetes-group-version-kind"][0]["kind"] == kind
    for part in parts.values():
        for reference in schemas.references(part):
            assert reference in parts


def test_descriptions_and_required_fields_are_read() -> None:
    """What OpenAPI says of a container is what the API types say of it."""
    container = schemas.component("io.k8s.api.core.v1.Container")
    assert container is not None
    assert container["required"] == ["name"]
    assert container["properties"]["image"]["description"].startswith("Container image name.")
    assert container["properties"]["env"]["x-kubernetes-patch-merge-key"] == "name"
    ports = container["properties"]["ports"]
    assert ports["x-kubernetes-list-map-keys"] == ["containerPort", "protocol"]


def faults(api: KubeAPI, document: dict[str, Any]) -> list[tuple[str, str, str]]:
    with pytest.raises(Invalid) as refused:
        api.create(document)
    return [(c.field, c.reason, c.message) for c in refused.value.causes]


def with_container(**fields: Any) -> dict[str, Any]:
    pod = a_pod()
    pod["spec"]["containers"][0].update(fields)
    return pod


def with_metadata(**fields: Any) -> dict[str, Any]:
    pod = a_pod()
    pod["metadata"].update(fields)
    return pod


def a_secret(data: Any) -> dict[str, Any]:
    return {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}, "data": data}


STRUCT = "json: cannot unmarshal {} into Go struct field {} of type {}"
WRONG_TYPES = [
    (a_pod(hostNetwork="yes"), ("string", "PodSpec.spec.hostNetwork", "bool")),
    (
        with_container(env=[{"name": "A", "value": 1}]),
        ("number", "EnvVar.spec.containers.env.value", "string"),
    ),
    (
        with_container(command="sleep"),
        ("string", "Container.spec.containers.command", "[]string"),
    ),
    (
        with_container(securityContext={"runAsUser": 1.5}),
        ("number 1.5", "SecurityContext.spec.containers.securityContext.runAsUser", "int64"),
    ),
    (
        a_pod(volumes={"name": "a"}),
        ("object", "PodSpec.spec.volumes", "[]v1.Volume"),
    ),
    (
        a_pod(dnsConfig=[1]),
        ("array", "PodDNSConfig.spec.dnsConfig", "v1.PodDNSConfig"),
    ),
    (
        a_workload("Deployment", paused="no"),
        ("string", "DeploymentSpec.spec.paused", "bool"),
    ),
]


@pytest.mark.parametrize(("document", "words"), WRONG_TYPES)
def test_a_wrong_type_cannot_be_decoded(
    api: KubeAPI, document: dict[str, Any], words: tuple[str, str, str]
) -> None:
    """400 in the decoder's words, for a new object and for one that replaces it."""
    kind, version = document["kind"], "v1"
    message = f'{kind} in version "{version}" cannot be handled as a {kind}: '
    message += STRUCT.format(*words)
    with pytest.raises(BadRequest) as refused:
        api.create(document)
    assert (refused.value.code, refused.value.message) == (400, message)


UNDECODABLE = [
    (a_pod(containers={"main": 1}), "cannot unmarshal object into Go struct field PodSpec.spec"),
    (
        a_pod(containers=["main"]),
        "cannot unmarshal string into .*spec.containers of type v1.Container$",
    ),
    (with_container(name=["x"]), "cannot unmarshal array into Go struct field Container.spec"),
    (with_container(resources="lots"), "string into .* of type v1.ResourceRequirements$"),
    (a_pod(nodeSelector={"disk": 1}), "number into Go struct field PodSpec.spec.nodeSelector"),
    (a_pod(nodeName=1), "number into Go struct field PodSpec.spec.nodeName of type string"),
    (a_workload("Deployment", replicas="two"), "string into .*replicas of type int32"),
    (a_workload("Deployment", replicas=10**12), "number 1000000000000 into .* of type int32"),
    (a_workload("Deployment", replicas=1.5), "number 1.5 into .* of type int32"),
    (with_container(resources={"requests": {"cpu": "x"}}), "Pod: quantities must match the reg"),
    (with_container(resources={"limits": {"cpu": True}}), "Pod: quantities must match the reg"),
    (with_container(resources={"limits": {"cpu": "1Ki1"}}), "unable to parse quantity's suffix"),
    (with_container(resources={"limits": {"cpu": "1.2.3"}}), "unable to parse numeric part of"),
    (a_pod(overhead={"cpu": " 1"}), "Pod: quantities must match"),
    (a_secret({"a": "no base64!"}), "a Secret: illegal base64 data at input byte 2$"),
    (a_secret({"a": "YWI"}), "a Secret: illegal base64 data at input byte 0$"),
    (a_secret({"a": 7}), r"number into Go struct field Secret.data of type \[\]uint8"),
    (with_metadata(name=7), "number into Go struct field ObjectMeta.metadata.name"),
    (with_metadata(generateName=5), "ObjectMeta.metadata.generateName of type string"),
    (with_metadata(labels={"a": 1}), "number into Go struct field ObjectMeta.metadata.labels"),
    (with_metadata(labels=["a"]), "array into .*metadata.labels of type map.string.string"),
    (with_metadata(annotations={"a": True}), "bool into .*ObjectMeta.metadata.annotations"),
    (with_metadata(finalizers="a"), r"string into .*finalizers of type \[\]string"),
    (with_metadata(ownerReferences={}), r"object into .*of type \[\]v1.OwnerReference"),
]


@pytest.mark.parametrize(("document", "text"), UNDECODABLE)
def test_what_cannot_be_decoded_is_a_bad_request(
    api: KubeAPI, document: dict[str, Any], text: str
) -> None:
    """Wrong types at any depth, malformed quantities and base 64: 400, never 422."""
    with pytest.raises(BadRequest, match="cannot be handled as a") as refused:
        api.create(document)
    assert re.search(text, refused.value.message), refused.value.message


def test_line_breaks_in_base64_are_ignored(api: KubeAPI) -> None:
    """As Go's decoder ignores them."""
    shape = shape_of(REGISTRY.find("Secret"))
    assert shape is not None and shape.fits(a_secret({"a": "aGVs\nbG8=\r\n"}))


@pytest.mark.parametrize(
    ("patch_type", "patch", "words"),
    [
        ("merge", {"spec": {"replicas": "two"}}, STRUCT),
        ("strategic", {"spec": {"replicas": "two"}}, "unrecognized type: {2}"),
        ("json", [{"op": "add", "path": "/spec/replicas", "value": "two"}], STRUCT),
    ],
)
def test_a_patch_to_a_wrong_type_is_invalid(
    api: KubeAPI, patch_type: str, patch: Any, words: str
) -> None:
    """A patch is 422 with the field `patch`, where a whole object would be 400."""
    api.create(a_workload("Deployment"))
    with pytest.raises(Invalid) as refused:
        api.patch("Deployment", "web", patch, patch_type=patch_type)
    (cause,) = refused.value.causes
    assert cause.field == "patch"
    assert cause.message.endswith(
        ": " + words.format("string", "DeploymentSpec.spec.replicas", "int32")
    )
    status = {"status": {"replicas": "two"}}
    with pytest.raises(Invalid, match=r"patch: Invalid value: .*DeploymentStatus.status.replicas"):
        api.patch("Deployment", "web", status, subresource="status")


def test_what_is_missing_is_required(api: KubeAPI) -> None:
    """A field that the API types demand, and that no rule of ours looks at, is asked for."""
    found = faults(
        api,
        a_pod(
            volumes=[{"name": "a", "rbd": {"monitors": [], "image": "i"}}, {"name": "b", "csi": {}}]
        ),
    )
    paths = ("spec.volumes[0].rbd.monitors", "spec.volumes[1].csi.driver")
    assert found == [(path, "FieldValueRequired", "Required value") for path in paths]


@pytest.mark.parametrize(
    "document",
    [a_pod(containers=[]), with_container(name=None)],
)
def test_nothing_is_reported_twice(api: KubeAPI, document: dict[str, Any]) -> None:
    """Where the kind's own rules have spoken, the schema is silent."""
    fields = [field for field, _, _ in faults(api, document)]
    assert len(fields) == len(set(fields)) == 1


@pytest.mark.parametrize("document", [a_slice(endpoints=None), a_service(), a_pod(volumes=None)])
def test_what_the_real_server_takes_is_taken(api: KubeAPI, document: dict[str, Any]) -> None:
    """Null is as good as absent, and not all that OpenAPI calls required is asked for."""
    assert api.create(document, dry_run=True)["kind"] == document["kind"]


def test_a_status_of_wrong_types_is_refused(api: KubeAPI) -> None:
    """What a kubelet reports must have the types of a pod's status, too."""
    pod = api.create(a_pod())
    pod["status"] = {"phase": "Running", "containerStatuses": [{"name": "main", "ready": "yes"}]}
    with pytest.raises(BadRequest, match="of type bool") as refused:
        api.update_status(pod)
    assert "ContainerStatus.status.containerStatuses.ready" in refused.value.message


# -- strict decoding -------------------------------------------------------------------------------


def test_unknown_fields_are_found_at_any_depth() -> None:
    """Paths of unknown fields; maps of texts have none."""
    deployment = a_workload("Deployment", color="red")
    deployment["metadata"]["labels"] = {"any": "thing"}
    deployment["spec"]["template"]["spec"]["containers"][0]["imagePull"] = "x"
    found = unknown_fields(REGISTRY.find("Deployment"), deployment)
    assert found == ["spec.template.spec.containers[0].imagePull", "spec.color"]


def test_strict_refuses_unknown_and_duplicate_fields(api: KubeAPI) -> None:
    """Strict: 400 with every unknown and duplicate field, in the real server's words."""
    sent, duplicates = parse_json(
        '{"kind": "Pod", "metadata": {"name": "a"}, "spec": {"x": 1, "containers": [{"name": "m",'
        ' "image": "a", "image": "b"}]}}'
    )
    with pytest.raises(BadRequest) as refused:
        api.create(sent, field_validation="Strict", duplicates=duplicates)
    assert refused.value.message == (
        'Pod in version "v1" cannot be handled as a Pod: strict decoding error: '
        'duplicate field "spec.containers[0].image", unknown field "spec.x"'
    )
    assert refused.value.code == 400


def test_warn_tells_and_drops(api: KubeAPI) -> None:
    """Warn: the object is stored without its unknown fields, and each is told of."""
    warnings: list[str] = []
    pod = api.create(a_pod(x=1), field_validation="Warn", warnings=warnings)
    assert warnings == ['unknown field "spec.x"']
    assert "x" not in pod["spec"]
    assert "f:x" not in str(pod)


def test_ignore_is_silent(api: KubeAPI) -> None:
    """Ignore: the client does not hear of unknown fields, and they are dropped."""
    warnings: list[str] = []
    pod = api.create(a_pod(x=1), field_validation="Ignore", warnings=warnings)
    assert warnings == []
    assert "x" not in pod["spec"]


@pytest.mark.parametrize("patch_type", ["merge", "strategic"])
def test_a_strict_patch_answers_for_its_own_fields(api: KubeAPI, patch_type: str) -> None:
    """A patch with an unknown field is 422; what was unknown before does not matter."""
    api.create(a_workload("Deployment", old=1))
    asked: Any = {"patch_type": patch_type, "field_validation": "Strict"}
    api.patch("Deployment", "web", {"spec": {"replicas": 2}}, **asked)
    with pytest.raises(Invalid) as refused:
        api.patch("Deployment", "web", {"spec": {"new": 1}}, **asked)
    (cause,) = refused.value.causes
    assert cause.field == "patch"
    assert cause.message.endswith('strict decoding error: unknown field "spec.new"')


def test_options_that_mean_nothing_are_refused(api: KubeAPI) -> None:
    """An unknown directive and an endless manager are named by their fields."""
    with pytest.raises(Invalid) as refused:
        api.create(a_pod(), field_validation="Maybe", field_manager="m" * 129)
    assert [cause.field for cause in refused.value.causes] == ["fieldValidation", "fieldManager"]
    assert refused.value.kind == "CreateOptions"


WITHOUT_PACKAGES = """
from kubesim import Cluster
from kubesim.apiserver.schema import schemas
from kubesim.errors import BadRequest
from kubesim.rest.serializer import protobuf

assert protobuf.message("io.k8s.api.core.v1.ServicePort", b"\\x18\\x50", 9) == {"port": 80}
with Cluster(nodes=0) as cluster:
    for kind in cluster.api.registry.kinds():
        assert schemas.components(kind), kind
    map = {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "a"}, "datum": {}}
    try:
        cluster.api.create(map, field_validation="Strict")
    except BadRequest as error:
        print(error.message)
"""


def test_schemas_and_protobuf_need_no_installed_package() -> None:
    """Python without site-packages: every kind has a schema, and strict decoding is strict."""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-S", "-c", WITHOUT_PACKAGES],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=root,
    )
    assert done.stdout.strip().endswith('strict decoding error: unknown field "datum"'), done.stderr


def test_importing_kubesim_reads_no_data() -> None:
    """The data file is opened when a type is first needed, and the descriptions later still."""
    code = (
        "import kubesim, kubesim.rest, sys;"
        "from kubesim.apiserver.schema import data;"
        "print([getattr(data, n).cache_info().currsize for n in ('types', 'kinds', 'messages')])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=root
    )
    assert done.stdout.strip() == "[0, 0, 0]", done.stderr

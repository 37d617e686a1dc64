"""Many clients ask a fresh server for a type at the same moment: it is compiled once, and whole."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubesim.apiserver.schema import data
from kubesim.apiserver.schema.compiler import BUILT_IN, Compiler
from kubesim.apiserver.schema.custom import compile_schema
from kubesim.apiserver.schema.faults import DECODER
from kubesim.apiserver.schema.schemas import REF

# A process of its own: in this one other tests have compiled the types already.
FRESH_SERVER = """
import http.client, json, sys, threading, time
from kubesim import Cluster

CLIENTS = 32
STEPS = {"_referenced", "_fields", "_by_reference"}  # of compiling a type, now and before

def give_way(frame, event, argument):
    if event == "call" and frame.f_code.co_name in STEPS:
        time.sleep(0.0002)  # every other thread runs now

threading.setprofile(give_way)
with Cluster(nodes=1, clock="live") as cluster:
    server = cluster.serve()
    barrier = threading.Barrier(CLIENTS)
    codes = []

    def post(number):
        job = {
            "kind": "Job",
            "apiVersion": "batch/v1",
            "metadata": {"name": f"job-{number}"},
            "spec": {
                "template": {
                    "spec": {
                        "restartPolicy": "Never",
                        "containers": [{"name": "c", "image": "i", "env": [{"name": "A"}]}],
                        "affinity": {"podAntiAffinity": {}},
                    }
                }
            },
        }
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        connection.connect()
        barrier.wait()
        path = "/apis/batch/v1/namespaces/default/jobs"
        connection.request("POST", path, json.dumps(job), {"Content-Type": "application/json"})
        codes.append(connection.getresponse().status)

    threads = [threading.Thread(target=post, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert codes == [201] * CLIENTS, codes
"""


@pytest.mark.live
@pytest.mark.parametrize("attempt", range(3))
def test_many_first_requests_at_once_all_succeed(attempt: int) -> None:
    """32 clients POST a Job to a fresh server: 201, each of them."""
    done = subprocess.run(
        [sys.executable, "-c", FRESH_SERVER], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_type_is_whole_for_every_thread() -> None:
    """Each of 16 threads that compile a type together finds the fault deep inside."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            assert faults_found_by_threads(16) == [1] * 16
    finally:
        sys.setswitchinterval(before)


def faults_found_by_threads(count: int) -> list[int]:
    """How many faults each of some threads finds that compile the same type at once."""
    pod = {"spec": {"containers": [{"name": "c", "env": [{"name": "A", "value": 1}]}]}}
    compiler = Compiler(DECODER, with_rules=False)
    barrier = threading.Barrier(count)
    found: list[int] = []

    def check() -> None:
        barrier.wait()
        shape = compiler.compile({"$ref": f"{REF}io.k8s.api.core.v1.Pod"}, "")
        found.append(len(list(shape.faults(pod, ""))))

    threads = [threading.Thread(target=check) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_a_type_may_hold_itself() -> None:
    """The schema of a schema: faults are found at any depth of it."""
    shape = BUILT_IN.compile({"$ref": f"{REF}{SCHEMAS}JSONSchemaProps"}, "")
    deep: dict[str, object] = {"type": 1}
    for _ in range(50):
        deep = {"properties": {"a": deep}}
    (fault,) = shape.faults(deep, "s")
    assert fault.path == "s" + ".properties[a]" * 50 + ".type"


SCHEMAS = "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1."
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 2**40) | st.floats() | st.sampled_from("ab"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "name", "kind", "spec"]), inner, max_size=3)
    ),
    max_leaves=8,
)
SIMPLE = st.sampled_from(
    [
        {"type": "integer", "minimum": 0},
        {"type": "string", "enum": ["a"]},
        {"type": "number", "nullable": True},
        {"x-kubernetes-int-or-string": True},
        {"type": "boolean"},
        {"required": ["a"]},
        {},
    ]
)
CUSTOM_SCHEMAS = st.recursive(
    SIMPLE,
    lambda inner: st.one_of(
        st.fixed_dictionaries(
            {"type": st.just("object"), "properties": st.dictionaries(st.sampled_from("ab"), inner)}
        ),
        inner.map(lambda part: {"type": "object", "additionalProperties": part}),
        inner.map(lambda part: {"type": "array", "items": part, "maxItems": 2}),
        st.lists(inner, min_size=1, max_size=2).map(lambda parts: {"oneOf": parts}),
        inner.map(lambda part: {"not": part, "items": part}),
        inner.map(lambda part: {"properties": {"a": part}, "minProperties": 1}),
    ),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(CUSTOM_SCHEMAS, VALUES)
def test_a_value_fits_exactly_if_it_has_no_faults(schema: dict[str, object], value: object) -> None:
    """The quick answer and the full one agree, for custom kinds ..."""
    shape = compile_schema(schema)
    assert shape.fits(value) == (not list(shape.faults(value, "x")))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(data.types())), VALUES)
def test_a_value_fits_a_built_in_type_exactly_if_it_has_no_faults(name: str, value: object) -> None:
    """... and for the types of Kubernetes, where an unknown field does not fit either."""
    shape = BUILT_IN.compile({"$ref": REF + name}, "")
    is_whole = not list(shape.faults(value, "x")) and shape.has_no_unknown_fields(value)
    assert shape.fits(value) == is_whole

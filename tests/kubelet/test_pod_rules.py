"""The pure rules of a pod's life, as rows: phase with init containers, plan, QoS, stops, probes."""

from __future__ import annotations

from math import inf
from typing import Any

import pytest

from kubesim.errors import BadRequest
from kubesim.kubelet.config import KubeletConfig
from kubesim.kubelet.pod.behaviour import Answers, behaviour_of, may_exceed_memory
from kubesim.kubelet.pod.lifecycle import plan
from kubesim.kubelet.pod.phase import INIT, SIDECAR, Container, conditions, gates_open, phase
from kubesim.kubelet.pod.probes import ProbeState, failure_output
from kubesim.kubelet.pod.termination import pre_stop_seconds, stop_order, stop_times
from kubesim.objects.pods import oom_score_adj, qos_class

W, R, T, U = "waiting", "running", "terminated", ""
GIB = 1 << 30


def init(state: str, code: int = 0, name: str = "i", **more: Any) -> Container:
    return Container(state, code, name=name, kind=INIT, **more)


def sidecar(state: str, name: str = "s", **more: Any) -> Container:
    return Container(state, name=name, kind=SIDECAR, **more)


@pytest.mark.parametrize(
    ("containers", "policy", "expected"),
    [
        ([init(U), Container(W)], "Always", "Pending"),
        ([init(R), Container(W)], "Always", "Pending"),
        ([init(W), Container(W)], "Never", "Pending"),
        ([init(T, 1), Container(W)], "Never", "Failed"),
        ([init(T, 1), Container(W)], "Always", "Pending"),
        ([init(W, last_exit=1), Container(W)], "OnFailure", "Pending"),
        ([init(T), Container(W)], "Always", "Pending"),
        ([init(T), Container(R)], "Always", "Running"),
        ([init(R), Container(R)], "Always", "Pending"),
        ([sidecar(R, started=False), Container(W)], "Always", "Pending"),
        ([sidecar(R, started=False), Container(R)], "Always", "Running"),
        ([sidecar(W), Container(W)], "Always", "Pending"),
        ([sidecar(R), Container(T)], "Never", "Running"),
        ([sidecar(R), Container(T, 1)], "Never", "Running"),
        ([sidecar(R), Container(T)], "OnFailure", "Running"),
        ([sidecar(T), Container(T)], "Never", "Succeeded"),
        ([sidecar(W, last_exit=1), Container(T)], "Never", "Succeeded"),
        ([sidecar(W), Container(R)], "Always", "Pending"),
        ([sidecar(U), Container(R)], "Always", "Pending"),
        ([sidecar(R)], "Never", "Running"),
        ([Container(U)], "Always", "Pending"),
        ([Container(R), Container(U)], "Always", "Pending"),
        ([Container(W, last_exit=1)], "Always", "Running"),
        ([Container(W, last_exit=1)], "Never", "Failed"),
    ],
)
def test_phases_with_init_containers(
    containers: list[Container], policy: str, expected: str
) -> None:
    """Init containers hold a pod in Pending, sidecars until a main one runs; sidecars run on."""
    assert phase(containers, policy) == expected


@pytest.mark.parametrize(
    ("containers", "policy", "start", "over"),
    [
        ([Container(W, name="a"), Container(W, name="b")], "Always", ("a", "b"), False),
        ([init(W), init(W, name="j"), Container(W)], "Always", ("i",), False),
        ([init(R), Container(W)], "Always", (), False),
        ([init(T), init(W, name="j"), Container(W)], "Always", ("j",), False),
        ([init(T, 1), Container(W)], "Always", ("i",), False),
        ([init(T, 1), Container(W)], "OnFailure", ("i",), False),
        ([init(T, 1), Container(W)], "Never", (), True),
        ([sidecar(W), Container(W)], "Always", ("s",), False),
        ([sidecar(R, started=False), Container(W)], "Always", (), False),
        ([sidecar(R), Container(W)], "Always", ("main",), False),
        ([sidecar(T), init(R), Container(W)], "Never", ("s",), False),
        ([sidecar(T), Container(R)], "Never", ("s",), False),
        ([sidecar(T), Container(T)], "Never", (), True),
        ([sidecar(R), Container(T, 1)], "OnFailure", ("main",), False),
        ([Container(T), Container(R, name="b")], "OnFailure", (), False),
        ([Container(T), Container(T, 1, name="b")], "Never", (), True),
        ([Container(T)], "Always", ("main",), False),
        ([Container(U)], "Never", ("main",), False),
        ([init(U), Container(U)], "Never", ("i",), False),
        ([sidecar(U), Container(T), Container(U, name="b")], "Never", ("s", "b"), False),
    ],
)
def test_what_is_started_next(
    containers: list[Container], policy: str, start: tuple[str, ...], over: bool
) -> None:
    """Init containers in order, sidecars as soon as their turn comes, then everything by policy."""
    step = plan(containers, policy)
    assert (step.start, step.over) == (start, over)


def test_a_container_killed_for_a_probe_starts_again_after_exit_0() -> None:
    """The exit code does not matter to OnFailure then; Never stays never."""
    assert plan([Container(T)], "OnFailure", frozenset({"main"})).start == ("main",)
    assert plan([Container(T)], "Never", frozenset({"main"})).over


def test_conditions_of_init_containers_and_gates() -> None:
    """Initialized names the incomplete, ContainersReady counts sidecars, Ready asks the gates."""
    found = {
        c["type"]: c
        for c in conditions([], [init(R), sidecar(W), Container(W, name="web")], "Pending", "t")
    }
    assert found["Initialized"]["reason"] == "ContainersNotInitialized"
    assert found["Initialized"]["message"] == "containers with incomplete status: [i s]"
    assert found["ContainersReady"]["message"] == "containers with unready status: [s web]"
    found = {
        c["type"]: c
        for c in conditions([], [Container(R, ready=True)], "Running", "t", ["lb/ready"])
    }
    assert found["ContainersReady"]["status"] == "True"
    assert found["Ready"]["reason"] == "ReadinessGatesNotReady"
    assert gates_open({"lb/ready": "True"}, ["lb/ready"]) == ("True", "", "")
    assert "but False" in gates_open({"lb/ready": "False"}, ["lb/ready"])[2]
    none = {c["type"]: c for c in conditions([], [], "Pending", "t")}
    assert none["ContainersReady"]["status"] == none["Ready"]["status"] == "True"
    unknown = {c["type"]: c for c in conditions([], [Container(U, name="a")], "Pending", "t")}
    assert unknown["Ready"]["message"] == "containers with unknown status: [a]"


def resources(**sides: dict[str, str]) -> dict[str, Any]:
    return {"resources": sides}


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([{}], "BestEffort"),
        ([resources(requests={"cpu": "0"}, limits={"memory": "0"})], "BestEffort"),
        ([resources(requests={"ephemeral-storage": "1Gi"})], "BestEffort"),
        ([resources(requests={"hugepages-2Mi": "4Mi"}, limits={"hugepages-2Mi": "4Mi"})],
         "BestEffort"),
        ([resources(requests={"cpu": "1"})], "Burstable"),
        ([resources(limits={"cpu": "1"}, requests={"cpu": "1"})], "Burstable"),
        ([resources(limits={"cpu": "1", "memory": "1Gi"},
                    requests={"cpu": "1", "memory": "1Gi"})], "Guaranteed"),
        ([resources(limits={"cpu": "1", "memory": "1Gi"},
                    requests={"cpu": "1", "memory": "1Gi"}), {}], "Burstable"),
        ([resources(limits={"cpu": "1", "memory": "1Gi"},
                    requests={"cpu": "500m", "memory": "1Gi"})], "Burstable"),
        ([resources(limits={"cpu": "1", "memory": "1Gi"},
                    requests={"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"})],
         "Guaranteed"),
    ],
)  # fmt: skip
def test_quality_of_service(containers: list[dict[str, Any]], expected: str) -> None:
    """Cpu and memory alone, zeros ignored, all containers, sums compared."""
    assert qos_class({"spec": {"containers": containers}}) == expected


def test_resources_of_the_pod_decide_on_its_quality() -> None:
    """Pod-level requests and limits count in place of those of the containers."""
    full = {"cpu": "1", "memory": "1Gi"}
    level = {"requests": full, "limits": full}
    assert qos_class({"spec": {"containers": [{}, {}], "resources": level}}) == "Guaranteed"
    level = {"requests": {"cpu": "1"}, "limits": {"cpu": "1"}}
    container = resources(requests=full, limits=full)
    assert qos_class({"spec": {"containers": [container], "resources": level}}) == "Burstable"


def test_init_containers_count_for_quality() -> None:
    """One without limits makes a pod Burstable."""
    full = resources(limits={"cpu": "1", "memory": "1Gi"}, requests={"cpu": "1", "memory": "1Gi"})
    assert qos_class({"spec": {"containers": [full], "initContainers": [full]}}) == "Guaranteed"
    assert qos_class({"spec": {"containers": [full], "initContainers": [{}]}}) == "Burstable"


@pytest.mark.parametrize(
    ("request_", "priority_class", "expected"),
    [
        ("8Gi", "", 3),
        ("4Gi", "", 500),
        ("1", "", 999),
        ("2Gi", "", 750),
        ("4Gi", "system-node-critical", -997),
    ],
)
def test_who_the_kernel_kills_first(request_: str, priority_class: str, expected: int) -> None:
    """Burstable: 1000 less the share of the node that was asked for, within 3..999."""
    container = {"resources": {"requests": {"memory": request_}}}
    pod = {"spec": {"containers": [container], "priorityClassName": priority_class}}
    assert oom_score_adj(pod, container, 8 * GIB) == expected
    assert oom_score_adj({"spec": {"containers": [{}]}}, {}, 8 * GIB) == 1000
    full = resources(limits={"cpu": "1", "memory": "1Gi"}, requests={"cpu": "1", "memory": "1Gi"})
    assert oom_score_adj({"spec": {"containers": [full]}}, full, 8 * GIB) == -997


@pytest.mark.parametrize(
    ("pre_stop", "stops_in", "grace", "term", "gone", "killed"),
    [
        (0, 0, 30, 0, 0, False),
        (5, 3, 30, 5, 8, False),
        (5, 25, 30, 5, 30, False),
        (5, 25.5, 30, 5, 30, True),
        (0, inf, 30, 0, 30, True),
        (30, 1, 30, 30, 31, False),
        (60, inf, 30, 30, 32, True),
        (0, inf, 1, 0, 2, True),
        (0, 1.5, 0, 0, 1.5, False),
    ],
)
def test_the_seconds_of_a_stop(
    pre_stop: float, stops_in: float, grace: float, term: float, gone: float, killed: bool
) -> None:
    """preStop inside the grace, at least two seconds after SIGTERM, then SIGKILL."""
    assert stop_times(100, 100 + grace, pre_stop, stops_in) == (100 + term, 100 + gone, killed)


@pytest.mark.parametrize(
    ("hook", "seconds"),
    [
        ({}, 0),
        ({"sleep": {"seconds": 3}}, 3),
        ({"exec": {"command": ["sleep", "4"]}}, 4),
        ({"exec": {"command": ["sh", "-c", "nginx -s quit; sleep 2.5 && sleep 1"]}}, 3.5),
        ({"httpGet": {"path": "/stop", "port": 80}}, 0),
    ],
)
def test_how_long_a_pre_stop_hook_takes(hook: dict[str, Any], seconds: float) -> None:
    """sleep actions and sleeping commands; everything else answers at once."""
    assert pre_stop_seconds({"lifecycle": {"preStop": hook}}) == seconds


def test_sidecars_stop_last_and_in_reverse() -> None:
    """One at a time, after all main containers."""
    assert stop_order(["a", "b"], ["first", "second"]) == [["a", "b"], ["second"], ["first"]]


def run(kind: str, attempts: str, failures: int = 3, successes: int = 1) -> list[bool | None]:
    """What a probe believes after each attempt: + success, - failure, | a new container."""
    state, found = ProbeState(kind, failures, successes), []
    for attempt in attempts:
        if attempt == "|":
            state.new_container()
        else:
            found.append(state.observe(attempt == "+"))
    return found


@pytest.mark.parametrize(
    ("kind", "attempts", "failures", "successes", "believed"),
    [
        ("readiness", "+", 3, 1, [True]),
        ("readiness", "++", 3, 2, [False, True]),
        ("readiness", "+-+-+", 3, 2, [False] * 5),
        ("readiness", "+--+---", 3, 1, [True, True, True, True, True, True, False]),
        ("liveness", "-", 3, 1, [True]),
        ("liveness", "---", 3, 1, [True, True, False]),
        ("liveness", "--+---", 3, 1, [True, True, True, True, True, False]),
        ("liveness", "---+", 3, 1, [True, True, False, False]),
        ("liveness", "---|--", 3, 1, [True, True, False, True, True]),
        ("startup", "-", 3, 1, [None]),
        ("startup", "--+", 3, 1, [None, None, True]),
        ("startup", "---", 3, 1, [None, None, False]),
        ("readiness", "--|-", 3, 1, [False, False, False]),
    ],
)
def test_what_a_probe_believes(
    kind: str, attempts: str, failures: int, successes: int, believed: list[bool | None]
) -> None:
    """Equal results in a row; on hold after a fatal one until there is a new container."""
    assert run(kind, attempts, failures, successes) == believed


def test_the_count_of_a_probe_survives_a_restart() -> None:
    """Two failures before a crash and one after it are three in a row (not after its own kill)."""
    state = ProbeState("liveness", 3)
    state.observe(False)
    state.observe(False)
    state.new_container()
    assert state.observe(False) is False


@pytest.mark.parametrize(
    ("probe", "timed_out", "said"),
    [
        ({"httpGet": {"port": 80}}, False, "HTTP probe failed with statuscode: 503"),
        ({"httpGet": {"port": 80, "path": "/h"}}, True, 'Get "http://10.1.2.3:80/h": context'),
        ({"tcpSocket": {"port": 5432}}, False, "dial tcp 10.1.2.3:5432: connect: connection ref"),
        ({"tcpSocket": {"port": 5432}}, True, "dial tcp 10.1.2.3:5432: i/o timeout"),
        ({"grpc": {"port": 9}}, False, 'service unhealthy (responded with "NOT_SERVING")'),
        ({"grpc": {"port": 9}}, True, "timeout: failed to connect service"),
        ({"exec": {"command": ["ls"]}}, True, 'command "ls" timed out after 1s'),
        ({"exec": {"command": ["ls"]}}, False, ""),
    ],
)
def test_what_a_failed_handler_says(probe: dict[str, Any], timed_out: bool, said: str) -> None:
    """Each of the four handlers has its words."""
    found = failure_output("readiness", probe, "10.1.2.3", timed_out=timed_out)
    assert found.startswith(said)
    assert bool(found) is bool(said)


def noted(**notes: str) -> dict[str, Any]:
    names = {f"kubesim.dev/{key.replace('_', '-')}": value for key, value in notes.items()}
    return {"metadata": {"annotations": names}}


def test_annotations_of_one_container_win() -> None:
    """A dot and the container's name; a pod's annotation does not speak of init containers."""
    pod = noted(run_seconds="10", exit_code="3")
    pod["metadata"]["annotations"]["kubesim.dev/run-seconds.b"] = "5"
    said: list[str] = []
    assert behaviour_of(pod, "a", "main", said.append).run_seconds == 10
    assert behaviour_of(pod, "b", "main", said.append).run_seconds == 5
    assert behaviour_of(pod, "b", "init", said.append).run_seconds == 5
    prepared = behaviour_of(pod, "c", "init", said.append)
    assert (prepared.run_seconds, prepared.exit_code) == (None, 0)
    assert behaviour_of(pod, "c", "sidecar", said.append).run_seconds is None
    assert said == []


@pytest.mark.parametrize(
    "notes",
    [
        {"run_seconds": "soon"},
        {"stop_seconds": "-1"},
        {"probe": "{"},
        {"probe": '{"unknown": 1}'},
        {"probe": '{"flaky": "often"}'},
        {"probe": "[]"},
    ],
)
def test_an_annotation_without_sense_is_told_and_left_out(notes: dict[str, str]) -> None:
    """The default is used, and a warning is recorded."""
    said: list[str] = []
    found = behaviour_of(noted(**notes), "a", "main", said.append)
    assert (found.run_seconds, found.stop_seconds, found.answers) == (None, 0, Answers())
    assert len(said) == 1
    assert "kubesim.dev/" in said[0]


def test_a_container_that_ignores_sigterm() -> None:
    """Never: it has to be killed."""
    found = behaviour_of(noted(stop_seconds="never"), "a", "main", print)
    assert found.stop_seconds == inf


@pytest.mark.parametrize(
    ("kind", "age", "ok"),
    [
        ("startup", 4.9, False),
        ("startup", 5, True),
        ("readiness", 9, False),
        ("readiness", 10, True),
        ("liveness", 5, True),
        ("liveness", 60, False),
        ("liveness", 79, False),
        ("liveness", 80, True),
        ("readiness", 40, False),
    ],
)
def test_what_a_container_answers(kind: str, age: float, ok: bool) -> None:
    """By its age: started, ready, failing for a while."""
    answers = Answers(
        started_after_seconds=5,
        ready_after_seconds=10,
        fail_liveness_at=60,
        fail_readiness_at=40,
        fail_seconds=20,
    )
    assert answers.healthy(kind, age) is ok


def test_flaky_answers_are_drawn_by_name() -> None:
    """The same attempt has the same luck, and the share is about right."""
    answers = Answers(flaky=0.3)
    draws = [answers.healthy("liveness", 1, f"draw-{n}") for n in range(1000)]
    assert draws == [answers.healthy("liveness", 1, f"draw-{n}") for n in range(1000)]
    assert 250 < draws.count(False) < 350


@pytest.mark.parametrize(
    ("workload", "exceeds"),
    [
        (None, False),
        ('{"model": "load"}', False),
        ('{"model": "load", "memory_mb": 300}', True),
        ('{"model": "leak"}', True),
        ('{"model": "mine"}', True),
    ],
)
def test_whose_memory_is_taken_at_its_word(workload: str | None, exceeds: bool) -> None:
    """Built-in models stay below a limit unless their annotation has an amount."""
    pod = noted() if workload is None else noted(workload=workload)
    assert may_exceed_memory(pod, "main") is exceeds


def test_a_configuration_is_checked() -> None:
    """Unknown signals and bad quantities are refused."""
    with pytest.raises(BadRequest):
        KubeletConfig(eviction_hard={"nodefs.available": "10%"})
    with pytest.raises(ValueError, match="quantities"):
        KubeletConfig(system_reserved={"memory": "much"})
    config = KubeletConfig(eviction_hard={"memory.available": "200Mi"})
    assert config.allocatable({"cpu": "4", "memory": "1Gi"}) == {"cpu": "4", "memory": "824Mi"}
    assert KubeletConfig().threshold_bytes == 100 << 20

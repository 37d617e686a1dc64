"""Pods on virtual time: init containers, sidecars, probes, images, limits, deadlines, stops."""

from __future__ import annotations

from typing import Any

import pytest
from kubelet_world import a_pod, condition, container, events, main, reasons, status

from kubesim import Cluster
from kubesim.errors import BadRequest
from kubesim.kubelet import ImagePulls, KubeletConfig


@pytest.fixture
def cluster() -> Any:
    """One node, no autoscaler."""
    with Cluster(nodes=1, seed=1, hpa=False) as made:
        yield made


# -- order of starts -----------------------------------------------------------------------------


def test_init_containers_run_one_after_the_other(cluster: Cluster) -> None:
    """The second when the first has ended well, the main ones after both."""
    notes = {"run-seconds.one": "5", "run-seconds.two": "10"}
    cluster.api.create(
        a_pod("p", container("web"), init=(container("one"), container("two")), notes=notes)
    )
    cluster.sleep(3)
    assert status(cluster)["phase"] == "Pending"
    assert "running" in main(cluster, container="one")["state"]
    assert main(cluster, container="two")["state"]["waiting"]["reason"] == "PodInitializing"
    assert main(cluster, container="web")["state"]["waiting"]["reason"] == "PodInitializing"
    assert condition(cluster, "Initialized")["message"] == (
        "containers with incomplete status: [one two]"
    )
    cluster.sleep(5)
    assert main(cluster, container="one")["state"]["terminated"]["reason"] == "Completed"
    assert main(cluster, container="one")["ready"] is True
    assert "running" in main(cluster, container="two")["state"]
    cluster.sleep(10)
    assert status(cluster)["phase"] == "Running"
    assert condition(cluster, "Initialized")["status"] == "True"
    started = [m for _, r, m, _ in events(cluster) if r == "Started"]
    assert started == ["Started container one", "Started container two", "Started container web"]


@pytest.mark.parametrize(
    ("policy", "phase", "restarts"), [("Always", "Pending", 2), ("Never", "Failed", 0)]
)
def test_an_init_container_that_fails(
    cluster: Cluster, policy: str, phase: str, restarts: int
) -> None:
    """It is tried again with back-off, or the pod is Failed; the main one never starts."""
    notes = {"exit-code.prepare": "3"}
    pod = a_pod("p", init=(container("prepare"),), notes=notes, restartPolicy=policy)
    cluster.api.create(pod)
    cluster.sleep(15.5)
    assert status(cluster)["phase"] == phase
    assert main(cluster, container="prepare")["restartCount"] == restarts
    assert main(cluster)["restartCount"] == 0
    assert "waiting" in main(cluster)["state"]
    assert cluster.api.sample("default", "p") is None


def test_a_sidecar_starts_before_and_stops_after_the_main_container(cluster: Cluster) -> None:
    """A Job's pod with a proxy: it serves while there is work, and does not keep the pod alive."""
    notes = {"run-seconds": "20", "stop-seconds.proxy": "3"}
    proxy = container("proxy", restartPolicy="Always")
    cluster.api.create(
        a_pod("p", container("job"), init=(proxy,), notes=notes, restartPolicy="Never")
    )
    cluster.sleep(5)
    assert status(cluster)["phase"] == "Running"
    assert [c[0] for c in cluster.api.sample("default", "p")[2]] == ["proxy", "job"]  # type: ignore[index]
    cluster.sleep(17)
    assert "terminated" in main(cluster, container="job")["state"]
    assert "running" in main(cluster, container="proxy")["state"]
    assert (status(cluster)["phase"], condition(cluster, "Ready")["reason"]) == (
        "Running",
        "PodCompleted",
    )
    cluster.sleep(3)
    assert status(cluster)["phase"] == "Succeeded"
    assert "terminated" in main(cluster, container="proxy")["state"]
    killing = [m for _, r, m, _ in events(cluster) if r == "Killing"]
    assert killing == ["Stopping container proxy"]


def test_a_sidecar_with_a_startup_probe_holds_the_main_container_back(cluster: Cluster) -> None:
    """Started is what counts, not running."""
    proxy = container(
        "proxy",
        restartPolicy="Always",
        startupProbe={"httpGet": {"port": 80}, "periodSeconds": 1, "failureThreshold": 60},
    )
    notes = {"probe.proxy": {"started_after_seconds": 12}}
    cluster.api.create(a_pod("p", init=(proxy,), notes=notes))
    cluster.sleep(12)
    assert "waiting" in main(cluster)["state"]
    assert status(cluster)["phase"] == "Pending"
    cluster.sleep(2)
    assert "running" in main(cluster)["state"]
    assert main(cluster, container="proxy")["started"] is True


def test_a_sidecar_that_crashes_is_started_again_under_every_policy(cluster: Cluster) -> None:
    """Also in a pod that never restarts its main containers."""
    notes = {"run-seconds.proxy": "4", "exit-code.proxy": "1"}
    proxy = container("proxy", restartPolicy="Always")
    cluster.api.create(a_pod("p", init=(proxy,), notes=notes, restartPolicy="Never"))
    cluster.sleep(7)
    assert main(cluster, container="proxy")["restartCount"] == 1
    assert status(cluster)["phase"] == "Running"


def test_containers_have_fates_of_their_own(cluster: Cluster) -> None:
    """One crashes, the other runs on; readiness, logs and samples follow each."""
    notes = {"run-seconds.b": "3", "exit-code.b": "7"}
    cluster.api.create(a_pod("p", container("a"), container("b"), notes=notes))
    cluster.sleep(9)
    assert main(cluster, container="a")["restartCount"] == 0
    assert main(cluster, container="b")["restartCount"] == 1
    assert main(cluster, container="b")["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert status(cluster)["phase"] == "Running"
    assert condition(cluster, "Ready")["message"] == "containers with unready status: [b]"
    assert [c[0] for c in cluster.api.sample("default", "p")[2]] == ["a"]  # type: ignore[index]
    assert "exited with code 7" in cluster.api.pod_logs("p", container="b")[-1]
    assert not any("exited" in line for line in cluster.api.pod_logs("p", container="a"))


def test_the_log_of_the_run_before(cluster: Cluster) -> None:
    """`--previous` shows why it crashed; without an earlier run it is refused."""
    cluster.api.create(a_pod(notes={"run-seconds": "3", "exit-code": "2"}))
    cluster.sleep(3)
    with pytest.raises(BadRequest, match='previous terminated container "main"'):
        cluster.api.pod_logs("p", previous=True)
    cluster.sleep(2)
    assert cluster.api.pod_logs("p", previous=True)[-1] == "[exit] Pod exited with code 2"
    assert "[exit] Pod exited with code 2" not in cluster.api.pod_logs("p")


def test_the_log_of_the_run_before_while_it_waits(cluster: Cluster) -> None:
    """In the back-off both are the last run's log, as with kubectl."""
    cluster.api.create(a_pod(notes={"run-seconds": "3", "exit-code": "2"}))
    cluster.sleep(9)
    assert main(cluster)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert cluster.api.pod_logs("p", previous=True) == cluster.api.pod_logs("p")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["does-not-exist"], 'exec: "does-not-exist": executable file not found in $PATH'),
        (["/bin/missing", "-v"], "stat /bin/missing: no such file or directory"),
    ],
)
def test_a_command_that_is_not_in_the_image(
    cluster: Cluster, command: list[str], said: str
) -> None:
    """Created, never Started: StartError with 128, then CrashLoopBackOff."""
    cluster.api.create(a_pod("p", container(command=command)))
    cluster.sleep(5)
    assert main(cluster)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    ended = main(cluster)["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (128, "StartError")
    assert said in ended["message"]
    assert ("Warning", "Failed", f"Error: {ended['message']}", 2) in events(cluster)
    assert "Started" not in reasons(cluster)
    assert main(cluster)["restartCount"] == 1


def test_identities_of_containers(cluster: Cluster) -> None:
    """Each run has an id, an image has one digest."""
    cluster.api.create(a_pod(notes={"run-seconds": "3", "exit-code": "2"}))
    cluster.sleep(2)
    first = main(cluster)
    cluster.sleep(3)
    second = main(cluster)
    assert second["restartCount"] == 1
    assert first["containerID"].startswith("kubesim://")
    assert second["containerID"] != first["containerID"]
    assert second["lastState"]["terminated"]["containerID"] == first["containerID"]
    assert first["imageID"] == second["imageID"]
    assert first["imageID"].startswith("x@sha256:")


# -- probes ----------------------------------------------------------------------------------------


def probe(**fields: Any) -> dict[str, Any]:
    return {"httpGet": {"path": "/healthz", "port": 8080}, **fields}


def test_a_slow_pod_is_ready_late(cluster: Cluster) -> None:
    """Unhealthy at every failed attempt, ready at the first good one, and no endpoint before."""
    web = container(readinessProbe=probe(periodSeconds=5, initialDelaySeconds=2))
    cluster.api.create(a_pod("p", web, notes={"probe": {"ready_after_seconds": 20}}))
    cluster.sleep(20)
    assert status(cluster)["phase"] == "Running"
    assert condition(cluster, "Ready")["message"] == "containers with unready status: [main]"
    assert main(cluster)["started"] is True
    cluster.sleep(10)
    assert condition(cluster, "Ready")["status"] == "True"
    assert condition(cluster, "Ready")["lastTransitionTime"] == "2025-01-01T00:00:23Z"
    unhealthy = [e for e in events(cluster) if e[1] == "Unhealthy"]
    said = "Readiness probe failed: HTTP probe failed with statuscode: 503"
    assert unhealthy == [("Warning", "Unhealthy", said, 4)]


def test_readiness_comes_and_goes_without_a_restart(cluster: Cluster) -> None:
    """Three failures in a row make it unready, one success ready again."""
    web = container(readinessProbe=probe(periodSeconds=2))
    notes = {"probe": {"fail_readiness_at": 10, "fail_seconds": 12}}
    cluster.api.create(a_pod("p", web, notes=notes))
    watch = cluster.api.watch("Pod")
    cluster.sleep(60)
    seen: list[tuple[str, str]] = []
    for event in watch.poll():
        for entry in event.object["status"].get("conditions", ()):
            item = (entry["status"], entry["lastTransitionTime"][-3:-1])
            if entry["type"] == "Ready" and item not in seen:
                seen.append(item)
    assert seen == [("False", "00"), ("True", "01"), ("False", "15"), ("True", "23")]
    assert main(cluster)["restartCount"] == 0


def test_a_failing_liveness_probe_costs_the_container_its_life(cluster: Cluster) -> None:
    """Killed at the third failure, started at once, killed again, then with back-off."""
    web = container(livenessProbe=probe(periodSeconds=5))
    cluster.api.create(a_pod("p", web, notes={"probe": {"fail_liveness_at": 10}}))
    cluster.sleep(21.5)
    killing = [m for _, r, m, _ in events(cluster) if r == "Killing"]
    assert killing == ["Container main failed liveness probe, will be restarted"]
    assert main(cluster)["restartCount"] == 1
    cluster.sleep(21)
    assert main(cluster)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert status(cluster)["phase"] == "Running"
    said = "Liveness probe failed: HTTP probe failed with statuscode: 500"
    assert ("Warning", "Unhealthy", said, 6) in events(cluster)


def test_a_liveness_kill_gives_the_probe_s_own_grace(cluster: Cluster) -> None:
    """A process that hangs is killed with 137 after it."""
    web = container(
        livenessProbe=probe(periodSeconds=1, failureThreshold=1, terminationGracePeriodSeconds=7)
    )
    notes = {"probe": {"fail_liveness_at": 10}, "stop-seconds": "never"}
    cluster.api.create(a_pod("p", web, notes=notes))
    cluster.sleep(17.5)
    assert "running" in main(cluster)["state"]
    cluster.sleep(1)
    assert main(cluster)["restartCount"] == 1
    assert main(cluster)["lastState"]["terminated"]["exitCode"] == 137


def test_a_startup_probe_holds_the_others_back(cluster: Cluster) -> None:
    """A slow starter survives a liveness probe that would have killed it."""
    web = container(
        startupProbe=probe(periodSeconds=5, failureThreshold=10),
        livenessProbe=probe(periodSeconds=1, failureThreshold=1),
        readinessProbe=probe(periodSeconds=1),
    )
    notes = {"probe": {"started_after_seconds": 33, "ready_after_seconds": 40}}
    cluster.api.create(a_pod("p", web, notes=notes))
    cluster.sleep(35.5)
    assert (main(cluster)["started"], main(cluster)["ready"]) == (False, False)
    cluster.sleep(1)
    assert (main(cluster)["started"], main(cluster)["ready"]) == (True, False)
    cluster.sleep(5)
    assert (main(cluster)["restartCount"], main(cluster)["ready"]) == (0, True)


def test_a_failing_startup_probe_kills(cluster: Cluster) -> None:
    """After failureThreshold periods."""
    web = container(startupProbe=probe(periodSeconds=2, failureThreshold=5))
    cluster.api.create(a_pod("p", web, notes={"probe": {"started_after_seconds": 1000}}))
    cluster.sleep(9.5)
    assert main(cluster)["restartCount"] == 1
    killing = [m for _, r, m, _ in events(cluster) if r == "Killing"]
    assert killing == ["Container main failed startup probe, will be restarted"]


def test_an_answer_that_is_too_late_is_a_failure(cluster: Cluster) -> None:
    """timeoutSeconds, with the words of the HTTP client."""
    web = container(readinessProbe=probe(periodSeconds=5, timeoutSeconds=2))
    cluster.api.create(a_pod("p", web, notes={"probe": {"response_seconds": 3}}))
    cluster.sleep(20)
    assert condition(cluster, "Ready")["status"] == "False"
    said = next(m for _, r, m, _ in events(cluster) if r == "Unhealthy")
    assert "context deadline exceeded" in said


class Answers:
    """A model of a learner's that answers probes itself."""

    def usage(self, now: float, load: float | None) -> tuple[int, int]:
        """Nothing much."""
        return 10, 1_000_000

    def probe(self, kind: str, now: float) -> bool:
        """Ready in every second half minute."""
        return kind != "readiness" or now % 60 >= 30


def test_a_model_of_one_s_own_answers_probes() -> None:
    """Its method `probe(kind, now)` wins over the annotation."""
    with Cluster(nodes=1, hpa=False, workloads={"mine": lambda _c: Answers()}) as cluster:
        web = container(readinessProbe=probe(periodSeconds=1, failureThreshold=1))
        cluster.api.create(a_pod("p", web, notes={"workload": {"model": "mine"}}))
        cluster.sleep(20)
        assert condition(cluster, "Ready")["status"] == "False"
        cluster.sleep(20)
        assert condition(cluster, "Ready")["status"] == "True"
        cluster.sleep(25)
        assert condition(cluster, "Ready")["status"] == "False"


# -- images ----------------------------------------------------------------------------------------


def test_an_image_that_does_not_exist(cluster: Cluster) -> None:
    """ErrImagePull and ImagePullBackOff take turns, at 10, 20, 40 ... seconds."""
    cluster.api.create(a_pod("p", container(image="web:does-not-exist")))
    cluster.sleep(2)
    waiting = main(cluster)["state"]["waiting"]
    assert waiting["reason"] == "ErrImagePull"
    assert "web:does-not-exist: not found" in waiting["message"]
    cluster.sleep(2)
    waiting = main(cluster)["state"]["waiting"]
    assert waiting["reason"] == "ImagePullBackOff"
    assert waiting["message"].startswith('Back-off pulling image "web:does-not-exist": ErrImagePu')
    assert status(cluster)["phase"] == "Pending"
    cluster.sleep(100)
    found = {(r, m): count for _, r, m, count in events(cluster)}
    assert found["Pulling", 'Pulling image "web:does-not-exist"'] == 4
    assert found["Failed", "Error: ErrImagePull"] == 4
    assert found["BackOff", 'Back-off pulling image "web:does-not-exist"'] == 4
    assert "Started" not in reasons(cluster)


@pytest.mark.parametrize(
    ("image", "reason", "event"),
    [("Web Server", "InvalidImageName", "InspectFailed")],
)
def test_an_image_that_never_comes(cluster: Cluster, image: str, reason: str, event: str) -> None:
    """No attempt is made again."""
    cluster.api.create(a_pod("p", container(image=image)))
    cluster.sleep(60)
    assert main(cluster)["state"]["waiting"]["reason"] == reason
    assert reasons(cluster).count(event) == 1
    assert f"Error: {reason}" in [m for _, _, m, _ in events(cluster)]


def test_images_come_through_one_line() -> None:
    """Serial pulls: the second pod waits for the first one's image, the third has it already."""
    pulls = ImagePulls(
        mb_per_second=10, base_seconds=1, sizes={"a:1": 50_000_000, "b:1": 90_000_000}
    )
    config = KubeletConfig(image_pull=pulls)
    with Cluster(nodes=1, seed=1, hpa=False, kubelet=config) as cluster:
        for name, image in (("one", "a:1"), ("two", "b:1")):
            cluster.api.create(a_pod(name, container(image=image)))
        cluster.sleep(30)
        cluster.api.create(a_pod("three", container(image="a:1")))
        cluster.api.create(a_pod("four", container(image="a:1", imagePullPolicy="Always")))
        cluster.api.create(a_pod("five", container(image="c:1", imagePullPolicy="Never")))
        cluster.sleep(10)
        pulled = {
            name: next(m for _, r, m, _ in events(cluster, name) if r == "Pulled")
            for name in ("one", "two", "three", "four")
        }
        assert pulled["one"] == (
            'Successfully pulled image "a:1" in 6s (6s including waiting). '
            "Image size: 50000000 bytes."
        )
        assert 'image "b:1" in 10s (16s including waiting)' in pulled["two"]
        assert pulled["three"] == 'Container image "a:1" already present on machine'
        assert 'image "a:1" in 1s (1s including waiting)' in pulled["four"]
        assert main(cluster, "five")["state"]["waiting"]["reason"] == "ErrImageNeverPull"
        assert main(cluster, "one")["state"]["running"]["startedAt"] == "2025-01-01T00:00:07Z"
        order = [r for r in reasons(cluster, "one") if r != "Scheduled"]
        assert order == ["Pulling", "Pulled", "Created", "Started"]
        cluster.sleep(5)
        images = cluster.api.get("Node", "node-1")["status"]["images"]
        assert [(i["names"][0], i["sizeBytes"]) for i in images] == [
            ("b:1", 90_000_000),
            ("a:1", 50_000_000),
        ]


def test_by_default_every_image_is_there(cluster: Cluster) -> None:
    """A pod starts one second after it was bound, whatever its pull policy."""
    cluster.api.create(a_pod("p", container(image="nginx", imagePullPolicy="Always")))
    cluster.sleep(1)
    assert status(cluster)["phase"] == "Running"


def test_a_container_waits_for_its_configuration(cluster: Cluster) -> None:
    """CreateContainerConfigError until the ConfigMap is there, with the key; told each 10 s."""
    variable = {"configMapKeyRef": {"name": "settings", "key": "colour"}}
    web = container(env=[{"name": "COLOUR", "valueFrom": variable}])
    cluster.api.create(a_pod("p", web))
    cluster.sleep(15)
    waiting = main(cluster)["state"]["waiting"]
    assert waiting == {
        "reason": "CreateContainerConfigError",
        "message": 'configmap "settings" not found',
    }
    assert ("Warning", "Failed", 'Error: configmap "settings" not found', 2) in events(cluster)
    assert cluster.explain("pod/p").latest.binding == "configuration"
    settings = {"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"size": "1"}}
    cluster.api.create(settings)
    cluster.sleep(10)
    said = "couldn't find key colour in ConfigMap default/settings"
    assert main(cluster)["state"]["waiting"]["message"] == said
    cluster.api.patch("ConfigMap", "settings", {"data": {"colour": "red"}})
    cluster.sleep(10)
    assert status(cluster)["phase"] == "Running"
    assert main(cluster)["restartCount"] == 0


def test_a_pod_waits_for_its_volumes(cluster: Cluster) -> None:
    """FailedMount with a growing back-off; no sandbox, no container before."""
    volume = {"name": "certs", "secret": {"secretName": "tls"}}
    cluster.api.create(a_pod("p", volumes=[volume, {"name": "x", "emptyDir": {}}]))
    cluster.sleep(10)
    said = 'MountVolume.SetUp failed for volume "certs" : secret "tls" not found'
    assert ("Warning", "FailedMount", said, 5) in events(cluster)
    assert condition(cluster, "PodReadyToStartContainers")["status"] == "False"
    assert main(cluster)["state"]["waiting"]["reason"] == "ContainerCreating"
    cluster.api.create({"kind": "Secret", "metadata": {"name": "tls"}, "data": {}})
    cluster.sleep(8)
    assert condition(cluster, "PodReadyToStartContainers")["status"] == "True"
    assert status(cluster)["phase"] == "Running"


def test_what_is_optional_may_be_missing(cluster: Cluster) -> None:
    """In the environment and in volumes."""
    web = container(envFrom=[{"secretRef": {"name": "none", "optional": True}}])
    volume = {"name": "v", "configMap": {"name": "none", "optional": True}}
    cluster.api.create(a_pod("p", web, volumes=[volume]))
    cluster.sleep(2)
    assert status(cluster)["phase"] == "Running"


# -- limits and deadlines --------------------------------------------------------------------------


def test_a_leak_meets_its_limit(cluster: Cluster) -> None:
    """OOMKilled with 137, a new process with fresh memory, CrashLoopBackOff, no event of it."""
    web = container(resources={"limits": {"memory": "100M", "cpu": "40m"}})
    notes = {"workload": {"model": "leak", "start_mb": 50, "mb_per_second": 5}}
    cluster.api.create(a_pod("p", web, notes=notes))
    cluster.sleep(11.5)
    assert cluster.api.sample("default", "p")[2] == (("main", 40, 95_000_000),)  # type: ignore[index]
    cluster.sleep(3)
    ended = main(cluster)["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")
    assert main(cluster)["restartCount"] == 1
    assert cluster.api.sample("default", "p")[2][0][2] < 60_000_000  # type: ignore[index]
    cluster.sleep(12)
    assert main(cluster)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert "OOMKilled" not in " ".join(reasons(cluster))
    assert "OOMKilled" in cluster.explain("pod/p").latest.verdict
    assert cluster.explain("pod/p").latest.binding == "memory limit"


def test_only_the_container_above_its_limit_is_killed(cluster: Cluster) -> None:
    """Each has a model and a limit of its own."""
    limited = {"resources": {"limits": {"memory": "80M"}}}
    notes = {"workload.b": {"model": "leak", "mb_per_second": 10}}
    cluster.api.create(
        a_pod("p", container("a", **limited), container("b", **limited), notes=notes)
    )
    cluster.sleep(7.5)
    assert main(cluster, container="a")["restartCount"] == 0
    assert main(cluster, container="b")["restartCount"] == 1
    sample = {c[0]: c[2] for c in cluster.api.sample("default", "p")[2]}  # type: ignore[index]
    assert sample["a"] <= 80_000_000


def test_the_built_in_model_stays_below_a_limit(cluster: Cluster) -> None:
    """50 to 100 MB at random are cut to the limit, not killed."""
    web = container(resources={"limits": {"memory": "64M"}})
    cluster.api.create(a_pod("p", web))
    cluster.sleep(120)
    assert main(cluster)["restartCount"] == 0
    assert cluster.api.sample("default", "p")[2][0][2] <= 64_000_000  # type: ignore[index]


def test_a_pod_that_is_active_too_long(cluster: Cluster) -> None:
    """activeDeadlineSeconds: Failed, whatever its policy."""
    cluster.api.create(a_pod("p", activeDeadlineSeconds=20))
    cluster.sleep(19)
    assert status(cluster)["phase"] == "Running"
    cluster.sleep(2)
    found = status(cluster)
    assert (found["phase"], found["reason"]) == ("Failed", "DeadlineExceeded")
    assert found["message"] == "Pod was active on the node longer than the specified deadline"
    assert cluster.explain("pod/p").latest.binding == "DeadlineExceeded"
    assert "pod/default/p" not in cluster.clock.workers()


def test_readiness_gates_wait_for_somebody_else(cluster: Cluster) -> None:
    """Ready follows as soon as the condition is True."""
    cluster.api.create(a_pod("p", readinessGates=[{"conditionType": "lb/attached"}]))
    cluster.sleep(5)
    assert condition(cluster, "ContainersReady")["status"] == "True"
    assert condition(cluster, "Ready")["reason"] == "ReadinessGatesNotReady"
    pod = cluster.api.get("Pod", "p")
    pod["status"]["conditions"].append({"type": "lb/attached", "status": "True"})
    cluster.api.update_status(pod)
    cluster.sleep(1)
    assert condition(cluster, "Ready")["status"] == "True"


# -- stopping -------------------------------------------------------------------------------------


def gone(cluster: Cluster) -> bool:
    return cluster.api.peek("Pod", "p", "default") is None


@pytest.mark.parametrize(
    ("notes", "hook", "grace", "seconds", "code"),
    [
        ({}, None, None, 0, 0),
        ({"stop-seconds": "5"}, None, None, 5, 0),
        ({"stop-seconds": "5", "stop-exit-code": "143"}, None, None, 5, 143),
        ({"stop-seconds": "never"}, None, None, 30, 137),
        ({"stop-seconds": "never"}, None, 4, 4, 137),
        ({"stop-seconds": "3"}, {"sleep": {"seconds": 10}}, None, 13, 0),
        ({"stop-seconds": "never"}, {"sleep": {"seconds": 60}}, 10, 12, 137),
    ],
)
def test_how_long_a_deletion_takes(
    cluster: Cluster,
    notes: dict[str, str],
    hook: dict[str, Any] | None,
    grace: int | None,
    seconds: int,
    code: int,
) -> None:
    """The hook, the process, the grace; the last state is shown before the object goes."""
    web = container(**({"lifecycle": {"preStop": hook}} if hook else {}))
    cluster.api.create(a_pod("p", web, notes=notes))
    cluster.sleep(10)
    watch = cluster.api.watch("Pod")
    cluster.api.delete("Pod", "p", grace_period_seconds=grace)
    cluster.sleep(max(0, seconds - 0.5))
    assert gone(cluster) is (seconds == 0)
    cluster.sleep(1)
    assert gone(cluster)
    last = watch.poll()[-1]
    ended = last.object["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (last.type, ended["exitCode"]) == ("DELETED", code)
    assert last.object["status"]["phase"] == ("Succeeded" if code == 0 else "Failed")


def test_a_second_deletion_may_only_shorten(cluster: Cluster) -> None:
    """From 30 to 10 seconds, counted from the first one."""
    cluster.api.create(a_pod("p", notes={"stop-seconds": "never"}))
    cluster.sleep(10)
    cluster.api.delete("Pod", "p")
    cluster.sleep(4)
    cluster.api.delete("Pod", "p", grace_period_seconds=20)
    cluster.api.delete("Pod", "p", grace_period_seconds=10)
    cluster.sleep(5.5)
    assert not gone(cluster)
    cluster.sleep(1)
    assert gone(cluster)


def test_sidecars_stop_after_the_main_containers_in_reverse(cluster: Cluster) -> None:
    """All inside one grace."""
    inits = tuple(container(name, restartPolicy="Always") for name in ("first", "second"))
    notes = {"stop-seconds": "2", "stop-seconds.first": "2", "stop-seconds.second": "3"}
    cluster.api.create(a_pod("p", container("web"), init=inits, notes=notes))
    cluster.sleep(10)
    cluster.api.delete("Pod", "p")
    cluster.sleep(1)
    for seconds, expected in (
        (0, ["web"]),
        (2, ["web", "second"]),
        (3, ["web", "second", "first"]),
    ):
        cluster.sleep(seconds)
        killing = [m.split()[-1] for _, r, m, _ in events(cluster) if r == "Killing"]
        assert killing == expected
    cluster.sleep(1.5)
    assert gone(cluster)


def test_readiness_goes_on_while_a_pod_stops_and_liveness_does_not(cluster: Cluster) -> None:
    """A draining pod may say that it is not ready; nobody kills it for that."""
    web = container(readinessProbe=probe(periodSeconds=1), livenessProbe=probe(periodSeconds=1))
    notes = {
        "probe": {"fail_readiness_at": 10, "fail_liveness_at": 10},
        "stop-seconds": "20",
    }
    cluster.api.create(a_pod("p", web, notes=notes))
    cluster.sleep(8)
    cluster.api.delete("Pod", "p")
    cluster.sleep(10)
    assert condition(cluster, "Ready")["status"] == "False"
    assert [m for _, r, m, _ in events(cluster) if r == "Killing"] == ["Stopping container main"]


def test_a_last_word_is_kept(cluster: Cluster) -> None:
    """terminationMessage, in the state of the container."""
    notes = {"run-seconds": "2", "exit-code": "4", "termination-message": "disk is on fire"}
    cluster.api.create(a_pod("p", notes=notes, restartPolicy="Never"))
    cluster.sleep(5)
    assert main(cluster)["state"]["terminated"]["message"] == "disk is on fire"
    assert main(cluster)["state"]["terminated"]["reason"] == "Error"


def test_a_pod_that_waits_is_deleted_at_once(cluster: Cluster) -> None:
    """For an image, for a back-off: nothing runs, nothing has to stop."""
    cluster.api.create(a_pod("p", container(image="missing:1")))
    cluster.api.create(a_pod("q", notes={"run-seconds": "0", "exit-code": "1"}))
    cluster.sleep(30)
    for name in ("p", "q"):
        cluster.api.delete("Pod", name)
    cluster.sleep(0.5)
    assert cluster.api.list_pods() == []
    cluster.sleep(100)
    assert [w for w in cluster.clock.workers() if w.startswith("pod/")] == []


def test_why_a_pod_was_restarted_and_is_not_ready(cluster: Cluster) -> None:
    """Both leave records with their figures."""
    cluster.api.create(a_pod("crash", notes={"run-seconds": "5", "exit-code": "9"}))
    web = container(readinessProbe=probe(periodSeconds=5))
    cluster.api.create(a_pod("slow", web, notes={"probe": {"ready_after_seconds": 100}}))
    cluster.sleep(13)
    crash, slow = (cluster.explain(f"pod/{name}").latest for name in ("crash", "slow"))
    assert crash.data == {"restarts": 1, "delay_seconds": 10.0, "exit_code": 9}
    assert crash.binding == "back-off"
    assert slow.verdict == "container main is not ready"
    assert slow.binding == "readiness probe"


def test_why_a_node_refused_a_pod(cluster: Cluster) -> None:
    """With what it asked for, what is taken, and what the node offers."""
    big = container(resources={"requests": {"cpu": "5"}})
    cluster.api.create(a_pod("big", big, nodeName="node-1"))
    cluster.sleep(1)
    record = cluster.explain("pod/big").latest
    assert record.verdict == "refused: OutOfcpu"
    figures = record.steps[0].inputs
    assert (figures["cpu_milli"], figures["allocatable_cpu_milli"]) == (5000, 4000)


def test_the_same_seed_is_the_same_life() -> None:
    """Init containers, sidecars, flaky probes, pulls and leaks: one digest."""

    def digest(seed: int) -> str:
        config = KubeletConfig(image_pull=ImagePulls())
        with Cluster(nodes=2, seed=seed, hpa=False, digest=True, kubelet=config) as cluster:
            proxy = container("proxy", restartPolicy="Always")
            web = container(
                "web",
                image="web:1",
                livenessProbe=probe(periodSeconds=2),
                resources={"limits": {"memory": "150M"}},
            )
            notes = {
                "probe": {"flaky": 0.3},
                "workload.web": {"model": "leak", "mb_per_second": 0.5},
            }
            cluster.api.create(a_pod("p", web, init=(container("prepare"), proxy), notes=notes))
            cluster.sleep(900)
            return cluster.digest()

    assert digest(4) == digest(4)
    assert digest(4) != digest(5)

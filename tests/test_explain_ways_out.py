"""`explain` names the true reason, and a way out that works: each test tries it on a copy.

The virtual clock makes copies cheap: `copies(build)` builds the same cluster twice. One is asked,
and the other gets the change that the answer proposes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from kubesim import Cluster
from kubesim.errors import TooManyRequests
from kubesim.quantity import format_memory

Build = Callable[[Cluster], object]
MAIN = {"name": "main", "image": "nginx"}


@contextmanager
def copies(build: Build, nodes: int = 2) -> Iterator[tuple[Cluster, Cluster]]:
    with Cluster(nodes, hpa=False) as one, Cluster(nodes, hpa=False) as other:
        for cluster in (one, other):
            cluster.sleep(2)
            build(cluster)
        yield one, other


def pod(name: str, *, labels: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "labels": labels or {"app": name}}
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": metadata,
        "spec": {"containers": [MAIN], **spec},
    }


def workload(kind: str, name: str, replicas: int, **spec: Any) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [MAIN]}}
    body = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **spec}
    return {"kind": kind, "apiVersion": "apps/v1", "metadata": {"name": name}, "spec": body}


def service(name: str, selector: dict[str, str], target: int | str = 80) -> dict[str, Any]:
    ports = [{"port": 80, "targetPort": target}]
    return {
        "kind": "Service",
        "apiVersion": "v1",
        "metadata": {"name": name},
        "spec": {"selector": selector, "ports": ports},
    }


def ready_endpoints(cluster: Cluster, name: str) -> int:
    slices = cluster.api.list(
        "EndpointSlice", "default", label_selector=f"kubernetes.io/service-name={name}"
    )
    endpoints = [
        each
        for item in slices["items"]
        if item.get("ports")
        for each in item.get("endpoints") or ()
    ]
    return sum(each["conditions"]["ready"] for each in endpoints)


# -- objects that cannot go ------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Pod", "Deployment", "ConfigMap"])
def test_a_finalizer_is_named_with_who_set_it(kind: str) -> None:
    """What keeps it, since when, whose finalizer it is, and the patch that removes it."""

    def build(cluster: Cluster) -> None:
        document = {
            "Pod": pod("x"),
            "Deployment": workload("Deployment", "x", 1),
            "ConfigMap": {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": "x"}},
        }[kind]
        document["metadata"]["finalizers"] = ["example.com/hold"]
        cluster.api.create(document, field_manager="holder")
        cluster.sleep(20)
        cluster.api.delete(kind, "x")
        cluster.sleep(60)

    with copies(build) as (asked, tried):
        latest = asked.explain(f"{kind.lower()}/x").latest
        verdict = "being deleted since t=22: waits for the finalizer example.com/hold"
        assert latest.verdict == verdict
        assert latest.binding == "metadata.finalizers"
        assert any("set by holder" in step.result for step in latest.steps)
        patch = '{"metadata":{"finalizers":null}}'
        assert patch in latest.would_change_if
        assert tried.api.peek(kind, "x") is not None
        tried.api.patch(kind, "x", {"metadata": {"finalizers": None}})
        assert tried.api.peek(kind, "x") is None


def silent_node(cluster: Cluster) -> None:
    """A StatefulSet's pod is evicted from a node whose kubelet is dead."""
    cluster.api.create(workload("StatefulSet", "db", 2, serviceName="db"))
    cluster.sleep(30)
    node = cluster.api.get("Pod", "db-1")["spec"]["nodeName"]
    assert node != cluster.api.get("Pod", "db-0")["spec"]["nodeName"]
    cluster.node(node).fail()
    cluster.sleep(400)


def back(cluster: Cluster, node: str) -> None:
    cluster.node(node).recover()


def force(cluster: Cluster, _node: str) -> None:
    cluster.api.delete("Pod", "db-1", grace_period_seconds=0)


def out_of_service(cluster: Cluster, node: str) -> None:
    cluster.node(node).taint("node.kubernetes.io/out-of-service=nodeshutdown:NoExecute")


def without_node(cluster: Cluster, node: str) -> None:
    cluster.api.delete("Node", node)


@pytest.mark.parametrize(
    ("way_out", "text"),
    [
        (back, "came back"),
        (force, "--force --grace-period=0"),
        (out_of_service, "out-of-service=nodeshutdown:NoExecute"),
        (without_node, "the Node is deleted"),
    ],
)
def test_a_silent_kubelet_is_named_with_four_ways_out(
    way_out: Callable[[Cluster, str], None], text: str
) -> None:
    """The pod, and the StatefulSet that waits for its name, say who is silent since when."""
    with copies(silent_node) as (asked, tried):
        node = asked.api.get("Pod", "db-1")["spec"]["nodeName"]
        for reference in ("pod/db-1", "statefulset/db"):
            latest = asked.explain(reference).latest
            assert f"the kubelet of {node}, which has to stop it, has been silent since t=" in (
                latest.verdict
            )
            assert text in latest.would_change_if
            assert "db-1 becomes available" not in latest.would_change_if
        eviction = asked.explain("pod/db-1").decisions[-2]
        assert "its kubelet has been silent since t=" in eviction.verdict
        before = tried.api.get("Pod", "db-1")["metadata"]["uid"]
        way_out(tried, node)
        tried.sleep(120)
        now = tried.api.peek("Pod", "db-1")
        assert now is not None and now["metadata"]["uid"] != before


def test_a_pod_in_its_grace_period_is_said_to_stop() -> None:
    """Nothing is wrong yet: the latest end is named."""

    def build(cluster: Cluster) -> None:
        slow = pod("x")
        slow["metadata"]["annotations"] = {"kubesim.dev/stop-seconds": "20"}
        cluster.api.create(slow)
        cluster.sleep(10)
        cluster.api.delete("Pod", "x")
        cluster.sleep(1)

    with copies(build) as (asked, tried):
        latest = asked.explain("pod/x").latest
        assert latest.verdict == (
            "being deleted since t=12: its containers are stopping, until t=42 at the latest"
        )
        assert "a shorter grace" in latest.would_change_if
        tried.api.delete("Pod", "x", grace_period_seconds=5)
        tried.sleep(6)
        assert tried.api.peek("Pod", "x") is None


# -- refusals and budgets --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "reference"),
    [
        ("StatefulSet", "statefulset/db"),
        ("Deployment", "replicaset"),
        ("Deployment", "deployment/db"),
        ("Job", "job/db"),
    ],
)
def test_a_full_quota_is_named_and_a_larger_one_helps(kind: str, reference: str) -> None:
    """The refusal, not the missing pod; every kind of workload tells the same."""

    def build(cluster: Cluster) -> None:
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}}
        cluster.api.create({**quota, "spec": {"hard": {"pods": "1"}}})
        cluster.sleep(1)
        spec = workload(kind, "db", 2)
        if kind == "StatefulSet":
            spec["spec"]["serviceName"] = "db"
        if kind == "Job":
            template = spec["spec"]["template"]
            template["spec"]["restartPolicy"] = "Never"
            spec["apiVersion"] = "batch/v1"
            spec["spec"] = {"parallelism": 2, "completions": 2, "template": template}
        cluster.api.create(spec)
        cluster.sleep(3)

    with copies(build) as (asked, tried):
        if reference == "replicaset":
            reference += "/" + asked.api.list("ReplicaSet")["items"][0]["metadata"]["name"]
        latest = asked.explain(reference).latest
        assert "exceeded quota: few, requested: pods=1, used: pods=1" in latest.binding
        assert latest.would_change_if.startswith("the quota few allowed more (requested: pods=1")
        assert len(tried.api.list("Pod")["items"]) == 1
        tried.api.patch("ResourceQuota", "few", {"spec": {"hard": {"pods": "5"}}})
        tried.sleep(60)
        assert len(tried.api.list("Pod")["items"]) == 2


def budget(**rule: Any) -> dict[str, Any]:
    return {
        "kind": "PodDisruptionBudget",
        "apiVersion": "policy/v1",
        "metadata": {"name": "b"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, **rule},
    }


BUDGETS: list[tuple[dict[str, Any], str, dict[str, Any]]] = [
    ({"maxUnavailable": 0}, "spec.maxUnavailable were 1 or more", {"maxUnavailable": 1}),
    ({"maxUnavailable": "0%"}, "spec.maxUnavailable were 1 or more", {"maxUnavailable": 1}),
    ({"minAvailable": "100%"}, "spec.minAvailable were 2 or less", {"minAvailable": 2}),
    ({"minAvailable": 3}, "spec.minAvailable were 2 or less", {"minAvailable": 2}),
    ({"minAvailable": "90%"}, "spec.minAvailable were 2 or less", {"minAvailable": 2}),
]


@pytest.mark.parametrize(("rule", "text", "change"), BUDGETS)
def test_a_budget_that_no_health_helps_says_so(
    rule: dict[str, Any], text: str, change: dict[str, Any]
) -> None:
    """All pods are healthy, and no eviction is allowed: the rule is what has to change."""

    def build(cluster: Cluster) -> None:
        cluster.api.create(workload("Deployment", "web", 3))
        cluster.api.create(budget(**rule))
        cluster.sleep(30)

    with copies(build) as (asked, tried):
        latest = asked.explain("poddisruptionbudget/b").latest
        assert latest.would_change_if.startswith(text)
        name = tried.api.list("Pod")["items"][0]["metadata"]["name"]
        with pytest.raises(TooManyRequests):
            tried.api.evict(name, "default")
        cleared = dict.fromkeys(("minAvailable", "maxUnavailable"))
        tried.api.patch("PodDisruptionBudget", "b", {"spec": {**cleared, **change}})
        tried.sleep(1)
        tried.api.evict(name, "default")


def test_more_replicas_help_a_budget_with_a_number() -> None:
    """minAvailable 3 of 3: a fourth healthy pod may go."""

    def build(cluster: Cluster) -> None:
        cluster.api.create(workload("Deployment", "web", 3))
        cluster.api.create(budget(minAvailable=3))
        cluster.sleep(30)

    with copies(build) as (asked, tried):
        latest = asked.explain("pdb/b").latest
        assert latest.would_change_if.endswith("or the workload had 4 healthy pods or more")
        tried.api.patch("Deployment", "web", {"spec": {"replicas": 4}})
        tried.sleep(30)
        tried.api.evict(tried.api.list("Pod")["items"][0]["metadata"]["name"], "default")


def test_a_budget_waits_for_health_where_that_helps() -> None:
    """Three of four must be healthy, and three are: a fourth helps."""

    def build(cluster: Cluster) -> None:
        cluster.api.create(workload("Deployment", "web", 4))
        cluster.api.create(budget(maxUnavailable=1))
        cluster.sleep(30)
        cluster.node("node-1").cordon()
        cluster.node("node-2").cordon()
        cluster.api.delete("Pod", cluster.api.list("Pod")["items"][0]["metadata"]["name"])
        cluster.sleep(40)

    with copies(build) as (asked, tried):
        assert asked.explain("pdb/b").latest.would_change_if == "4 pods are healthy (3 are)"
        tried.node("node-1").uncordon()
        tried.sleep(40)
        assert tried.api.get("pdb", "b")["status"]["disruptionsAllowed"] == 1


@pytest.mark.parametrize("rule", [{"minAvailable": "50%"}, {"maxUnavailable": 1}])
def test_percentages_over_bare_pods_say_that_a_number_helps(rule: dict[str, Any]) -> None:
    """Nobody knows how many there should be; a number of pods needs no controller."""

    def build(cluster: Cluster) -> None:
        for name in ("a", "b", "c"):
            cluster.api.create(pod(name, labels={"app": "web"}))
        cluster.api.create(budget(**rule))
        cluster.sleep(30)

    with copies(build) as (asked, tried):
        latest = asked.explain("pdb/b").latest
        assert latest.binding == "no controller says how many pods there should be"
        assert latest.would_change_if.startswith("spec.minAvailable were a number of pods (")
        cleared = dict.fromkeys(("minAvailable", "maxUnavailable"))
        tried.api.patch("pdb", "b", {"spec": {**cleared, "minAvailable": 2}})
        tried.sleep(1)
        tried.api.evict("a", "default")


# -- containers ------------------------------------------------------------------------------------


def restarted(change: dict[str, Any], annotations: dict[str, str] | None = None) -> Build:
    def build(cluster: Cluster) -> None:
        document = pod("x", containers=[{**MAIN, **change}])
        document["metadata"]["annotations"] = annotations or {}
        cluster.api.create(document)
        cluster.sleep(90)

    return build


def restarts(cluster: Cluster) -> int:
    return int(cluster.api.get("Pod", "x")["status"]["containerStatuses"][0]["restartCount"])


def test_memory_above_the_limit_names_both_and_a_higher_limit_helps() -> None:
    """How much it used, its limit, and the limit that would have been enough."""
    model = {"kubesim.dev/workload": '{"model": "load", "memory_mb": 200}'}
    small = {"resources": {"limits": {"memory": "100Mi"}}}
    with copies(restarted(small, model)) as (asked, _):
        latest = asked.explain("pod/x").latest
        assert latest.binding == "memory limit"
        (step,) = [step for step in latest.steps if step.rule == "memory limit"]
        used = int(step.inputs["used_bytes"])
        assert step.result == f"it used {format_memory(used)}, its limit is 100Mi"
        assert latest.would_change_if == (
            f"resources.limits.memory were more than {format_memory(used)}, or it used less"
        )
    large = {"resources": {"limits": {"memory": str(used)}}}
    with copies(restarted(large, model)) as (_, tried):
        assert restarts(tried) == 0


def test_a_liveness_kill_names_the_probe_and_its_failures() -> None:
    """The probe, how often it failed, what it said; with a probe that succeeds it lives."""
    command = {"command": ["sh", "-c", "sleep 3600"]}

    def probe(*program: str) -> dict[str, Any]:
        return {"livenessProbe": {"exec": {"command": list(program)}, "periodSeconds": 5}}

    with copies(restarted({**command, **probe("cat", "/nothing")})) as (asked, _):
        records = [d for d in asked.explain("pod/x").decisions if "starts again" in d.verdict]
        latest = records[-1]
        assert latest.binding == "liveness probe"
        (step,) = [step for step in latest.steps if step.rule == "liveness probe"]
        assert step.result.startswith("failed 3 times in a row: ")
        assert "No such file" in step.result
        assert latest.would_change_if.startswith("its liveness probe succeeded")
    with copies(restarted({**command, **probe("false")})) as (asked, _):
        records = [d for d in asked.explain("pod/x").decisions if "starts again" in d.verdict]
        assert records[-1].would_change_if.endswith("said: nothing (it wrote no output)")
    with copies(restarted({**command, **probe("cat", "/etc/hostname")})) as (_, tried):
        assert restarts(tried) == 0


def test_a_command_that_the_image_does_not_contain_is_named() -> None:
    """Not a crash: the program was never there."""
    with copies(restarted({"command": ["does-not-exist"]})) as (asked, _):
        latest = asked.explain("pod/x").latest
        assert latest.binding == "command"
        (step,) = [step for step in latest.steps if step.rule == "command"]
        assert 'exec: "does-not-exist": executable file not found in $PATH' in step.result
        assert latest.would_change_if == "its command named a program that its image contains"
    with copies(restarted({"command": ["sleep", "3600"]})) as (_, tried):
        assert restarts(tried) == 0


def test_a_program_that_ends_says_how_and_running_on_helps() -> None:
    """Exit code 3 is told, with where its output is; a program that runs on is not restarted."""
    with copies(restarted({"command": ["sh", "-c", "exit 3"]})) as (asked, _):
        latest = asked.explain("pod/x").latest
        assert any("with exit code 3" in step.result for step in latest.steps)
        assert latest.would_change_if.startswith("its program ran on; kubectl logs -c main ")
    with copies(restarted({"command": ["sleep", "3600"]})) as (_, tried):
        assert restarts(tried) == 0


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (["sh", "-c", "exit 3"], "the program of main ended with exit code 0"),
        (["missing"], "the command of main named a program that its image contains"),
    ],
)
def test_a_failed_pod_names_its_container(command: list[str], text: str) -> None:
    """With restartPolicy Never nobody decides again; the statuses tell which container it was."""

    def build(cluster: Cluster) -> None:
        containers = [{**MAIN, "command": command}]
        cluster.api.create(pod("x", containers=containers, restartPolicy="Never"))
        cluster.sleep(20)

    with copies(build) as (asked, tried):
        latest = asked.explain("pod/x").latest
        assert latest.verdict.startswith("failed: container main ended with another exit code")
        assert latest.would_change_if.startswith(text)
        good = [{**MAIN, "command": ["true"]}]
        tried.api.create(pod("y", containers=good, restartPolicy="Never"))
        tried.sleep(20)
        assert tried.api.get("Pod", "y")["status"]["phase"] == "Succeeded"


def test_a_scheduling_gate_is_named_and_its_removal_helps() -> None:
    """Nobody has decided anything about the pod yet; the gate says why."""

    def build(cluster: Cluster) -> None:
        cluster.api.create(pod("x", schedulingGates=[{"name": "example.com/wait"}]))
        cluster.sleep(10)

    with copies(build) as (asked, tried):
        latest = asked.explain("pod/x").latest
        assert latest.binding == "spec.schedulingGates"
        assert "its 1 scheduling gate (example.com/wait) is removed" in latest.verdict
        assert '{"spec":{"schedulingGates":null}}' in latest.would_change_if
        tried.api.patch("Pod", "x", {"spec": {"schedulingGates": None}})
        tried.sleep(10)
        assert tried.api.get("Pod", "x")["status"]["phase"] == "Running"


# -- services --------------------------------------------------------------------------------------


def test_a_service_without_a_selector_says_so() -> None:
    """No controller lists its endpoints; with the proposed selector they are there."""

    def build(cluster: Cluster) -> None:
        cluster.api.create(workload("Deployment", "web", 2))
        cluster.api.create(service("web", {}))
        alias = service("alias", {})
        alias["spec"] |= {"type": "ExternalName", "externalName": "db.example.com"}
        cluster.api.create(alias)
        cluster.sleep(20)

    with copies(build) as (asked, tried):
        latest = asked.explain("service/web").latest
        assert latest.binding == "spec.selector"
        assert latest.would_change_if.startswith("spec.selector were set, or an EndpointSlice")
        tried.api.patch("Service", "web", {"spec": {"selector": {"app": "web"}}})
        tried.sleep(2)
        assert ready_endpoints(tried, "web") == 2
        assert "DNS answers with db.example.com" in asked.explain("service/alias").latest.verdict


def test_a_selector_that_matches_nothing_names_the_nearest_labels() -> None:
    """The misspelt value is seen beside the right one, and the proposed selector works."""

    def build(cluster: Cluster) -> None:
        cluster.api.create(workload("Deployment", "web", 2))
        cluster.api.create(pod("other", labels={"role": "db"}))
        cluster.api.create(service("web", {"app": "wep"}))
        cluster.sleep(20)

    with copies(build) as (asked, tried):
        latest = asked.explain("service/web").latest
        assert (
            latest.verdict == "nobody answers: no pod in namespace default has the labels app=wep"
        )
        assert "or its spec.selector were app=web (as of web-" in latest.would_change_if
        tried.api.patch("Service", "web", {"spec": {"selector": {"app": "web"}}})
        tried.sleep(2)
        assert ready_endpoints(tried, "web") == 2


@pytest.mark.parametrize("target", ["http", 8080])
def test_a_target_port_that_no_pod_has_is_named(target: int | str) -> None:
    """By name it has no endpoints; by number the declared ports are shown."""

    def build(cluster: Cluster) -> None:
        main = {**MAIN, "ports": [{"name": "web", "containerPort": 80}]}
        cluster.api.create(pod("x", containers=[main]))
        cluster.api.create(service("x", {"app": "x"}, target))
        cluster.sleep(20)

    with copies(build) as (asked, tried):
        latest = asked.explain("service/x").latest
        assert latest.verdict.startswith(f"targetPort {target} of port 80 is no port of its pods")
        assert any(step.inputs.get("declared") == "web (80)" for step in latest.steps)
        assert latest.would_change_if.endswith("or targetPort were web")
        ports = [{"port": 80, "targetPort": "web"}]
        tried.api.patch("Service", "x", {"spec": {"ports": ports}})
        tried.sleep(2)
        assert ready_endpoints(tried, "x") == 1
        assert tried.explain("service/x").latest.component == "endpointslice-controller"


def test_a_service_without_a_ready_pod_names_the_pods() -> None:
    """Which pods match, and why none is ready."""

    def build(cluster: Cluster) -> None:
        containers = [{**MAIN, "image": "nginx:does-not-exist"}]
        cluster.api.create(pod("x", containers=containers))
        cluster.api.create(service("x", {"app": "x"}))
        cluster.sleep(20)

    with copies(build) as (asked, tried):
        latest = asked.explain("service/x").latest
        assert latest.verdict == "nobody answers: 1 pod matches, and none is ready"
        assert latest.binding.startswith("x: ")
        assert "explain('pod/default/x')" in latest.would_change_if
        assert asked.explain("pod/default/x").latest.binding == "image"
        (main,) = tried.api.get("Pod", "x")["spec"]["containers"]
        tried.api.patch("Pod", "x", {"spec": {"containers": [{**main, "image": "nginx"}]}})
        tried.sleep(30)
        assert ready_endpoints(tried, "x") == 1


# -- work that waits -------------------------------------------------------------------------------


def test_a_job_kept_alive_by_a_plain_container_names_it() -> None:
    """The work is done, a helper runs on; as a sidecar it would be stopped."""
    worker = {"name": "work", "image": "busybox", "command": ["sh", "-c", "sleep 2"]}
    proxy = {"name": "proxy", "image": "busybox", "command": ["sleep", "100000"]}

    def job(name: str, **spec: Any) -> dict[str, Any]:
        template = {"spec": {"restartPolicy": "Never", **spec}}
        return {
            "kind": "Job",
            "apiVersion": "batch/v1",
            "metadata": {"name": name},
            "spec": {"template": template},
        }

    def build(cluster: Cluster) -> None:
        cluster.api.create(job("j", containers=[worker, proxy]))
        cluster.sleep(30)

    with copies(build) as (asked, tried):
        latest = asked.explain("job/j").latest
        assert latest.verdict.endswith(
            ": work has ended with exit code 0, but container proxy still runs"
        )
        assert "listed under initContainers with restartPolicy: Always" in latest.would_change_if
        sidecar = {**proxy, "restartPolicy": "Always"}
        tried.api.create(job("k", containers=[worker], initContainers=[sidecar]))
        tried.sleep(60)
        assert tried.api.get("Job", "k")["status"].get("succeeded") == 1


@pytest.mark.parametrize("kind", ["CronJob", "Job"])
def test_suspended_work_says_so(kind: str) -> None:
    """spec.suspend is the reason, and the way out."""
    template = {"spec": {"restartPolicy": "Never", "containers": [{**MAIN, "command": ["true"]}]}}
    body: dict[str, Any] = {"suspend": True, "template": template}
    if kind == "CronJob":
        job = {"spec": {"template": template}}
        body = {"suspend": True, "schedule": "* * * * *", "jobTemplate": job}

    def build(cluster: Cluster) -> None:
        document = {"kind": kind, "apiVersion": "batch/v1", "metadata": {"name": "x"}}
        cluster.api.create({**document, "spec": body})
        cluster.sleep(70)

    with copies(build) as (asked, tried):
        latest = asked.explain(f"{kind.lower()}/x").latest
        assert "suspend" in latest.verdict
        assert latest.would_change_if == "spec.suspend were false"
        tried.api.patch(kind, "x", {"spec": {"suspend": False}})
        tried.sleep(70)
        assert tried.api.list("Pod")["items"]


def test_figures_of_a_record_follow() -> None:
    """The same reason with other figures renews the record; there is still one."""
    with Cluster(2, hpa=False) as cluster:
        cron = {
            "kind": "CronJob",
            "apiVersion": "batch/v1",
            "metadata": {"name": "x"},
            "spec": {
                "schedule": "0 0 1 1 *",
                "jobTemplate": {
                    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [MAIN]}}}
                },
            },
        }
        cluster.api.create(cron)
        cluster.sleep(5)
        assert cluster.explain("cronjob/x").latest.steps[0].inputs["schedule"] == "0 0 1 1 *"
        cluster.api.patch("CronJob", "x", {"spec": {"schedule": "0 0 2 1 *"}})
        cluster.sleep(5)
        explanation = cluster.explain("cronjob/x")
        assert explanation.latest.steps[0].inputs["schedule"] == "0 0 2 1 *"
        assert len(explanation.decisions) == 1

"""Containers whose commands the kubelet understands: they print, end, fail, and answer probes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kubesim import Cluster
from kubesim.errors import BadRequest, NotFound

Document = dict[str, Any]


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """One node, no autoscaler."""
    with Cluster(nodes=1, seed=1, hpa=False) as made:
        yield made


def pod(name: str, *command: str, policy: str = "Never", **container: Any) -> Document:
    """A pod with one container."""
    entry: Document = {"name": "main", "image": "busybox", **container}
    if command:
        entry["command"] = list(command)
    return {
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": policy, "containers": [entry]},
    }


def sh(name: str, script: str, policy: str = "Never", **container: Any) -> Document:
    """A pod whose container runs a script."""
    return pod(name, "sh", "-c", script, policy=policy, **container)


def main(cluster: Cluster, name: str) -> Document:
    """The status of a pod's main container."""
    status: Document = cluster.api.get("Pod", name)["status"]["containerStatuses"][0]
    return status


def phase(cluster: Cluster, name: str) -> str:
    """The phase of a pod."""
    return str(cluster.api.get("Pod", name)["status"]["phase"])


def events(cluster: Cluster, name: str) -> list[tuple[str, str]]:
    """(reason, message) of a pod's Events."""
    items = cluster.api.list("Event")["items"]
    return [(e["reason"], e["message"]) for e in items if e["involvedObject"]["name"] == name]


def test_a_command_ends_with_its_exit_code_and_its_log(cluster: Cluster) -> None:
    """The log holds its output and nothing else; the times are the command's."""
    cluster.api.create(sh("p", "echo hi; sleep 20; echo $HOSTNAME; exit 3"))
    cluster.sleep(10)
    assert (phase(cluster, "p"), cluster.api.pod_logs("p")) == ("Running", ["hi"])
    cluster.sleep(20)
    assert (phase(cluster, "p"), cluster.api.pod_logs("p")) == ("Failed", ["hi", "p"])
    ended = main(cluster, "p")["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (3, "Error")
    began, over = (cluster.clock.seconds_at(ended[k]) for k in ("startedAt", "finishedAt"))
    assert over - began == 20


def test_a_job_and_a_cron_job_complete(cluster: Cluster) -> None:
    """`kubectl create job j --image=busybox -- echo hi`, and one each minute."""
    template = {"spec": pod("", "echo", "hi")["spec"]}
    cluster.api.create({"kind": "Job", "metadata": {"name": "j"}, "spec": {"template": template}})
    cluster.api.create(
        {
            "kind": "CronJob",
            "metadata": {"name": "c"},
            "spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": template}}},
        }
    )
    cluster.sleep(200)
    assert cluster.api.get("Job", "j")["status"]["succeeded"] == 1
    jobs = [j for j in cluster.api.list("Job")["items"] if j["metadata"]["name"] != "j"]
    assert [j["status"]["succeeded"] for j in jobs] == [1, 1, 1]
    assert all(
        phase(cluster, p["metadata"]["name"]) == "Succeeded"
        for p in cluster.api.list("Pod")["items"]
    )


def test_a_command_that_is_not_understood(cluster: Cluster) -> None:
    """A server runs on; work ends after `job_seconds`; the annotation wins over both."""
    annotated = sh("own", "echo hi; exit 1")
    annotated["metadata"]["annotations"] = {"kubesim.dev/run-seconds": "30"}
    for each in (
        pod("server", "nginx", policy="Always"),
        pod("work", "perl", "pi.pl"),
        pod("image"),
        sh("mixed", "echo before; perl pi.pl; echo after"),
        annotated,
    ):
        cluster.api.create(each)
    cluster.sleep(4)
    assert {phase(cluster, n) for n in ("server", "work", "image", "mixed", "own")} == {"Running"}
    cluster.sleep(6)
    names = ("server", "work", "image", "mixed", "own")
    assert [phase(cluster, n) for n in names] == [
        "Running",
        "Succeeded",
        "Succeeded",
        "Succeeded",
        "Running",
    ]
    assert cluster.api.pod_logs("mixed") == ["before", "after"]
    cluster.sleep(30)
    assert phase(cluster, "own") == "Succeeded"
    assert "hi" not in cluster.api.pod_logs("own")


def test_job_seconds_is_an_option_of_cluster_and_node() -> None:
    """Both take a number of seconds."""
    with Cluster(nodes=0, hpa=False, job_seconds=40) as cluster:
        cluster.add_node("slow")
        cluster.api.create(pod("p"))
        cluster.sleep(30)
        assert phase(cluster, "p") == "Running"
        cluster.sleep(20)
        assert phase(cluster, "p") == "Succeeded"
    with pytest.raises(BadRequest, match="job_seconds must be a number"):
        Cluster(job_seconds="5")  # type: ignore[arg-type]


def test_a_restart_is_a_new_process(cluster: Cluster) -> None:
    """Its files are new, its log as well; the former log is the previous one."""
    script = "ls /tmp; touch /tmp/mark; echo run; sleep 5; exit 1"
    cluster.api.create(sh("p", script, policy="Always"))
    cluster.sleep(14)
    assert main(cluster, "p")["restartCount"] == 1
    assert cluster.api.pod_logs("p", previous=True) == ["run"]
    assert cluster.api.pod_logs("p") == ["run"]


def test_init_containers_hand_over_files(cluster: Cluster) -> None:
    """An emptyDir is shared by the containers of a pod; a failing init container is repeated."""
    document = sh("p", "cat /shared/greeting", volumeMounts=[{"name": "w", "mountPath": "/shared"}])
    document["spec"]["volumes"] = [{"name": "w", "emptyDir": {}}]
    document["spec"]["initContainers"] = [
        {
            "name": "prepare",
            "image": "busybox",
            "command": ["sh", "-c", "echo hello > /shared/greeting; sleep 7"],
            "volumeMounts": [{"name": "w", "mountPath": "/shared"}],
        }
    ]
    cluster.api.create(document)
    cluster.sleep(6)
    assert phase(cluster, "p") == "Pending"
    cluster.sleep(6)
    assert (phase(cluster, "p"), cluster.api.pod_logs("p")) == ("Succeeded", ["hello"])


def test_the_environment(cluster: Cluster) -> None:
    """ConfigMaps, Secrets, fields, limits, Services, and references in the command."""
    cluster.api.create({"kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"COLOR": "blue"}})
    cluster.api.create(
        {"kind": "Secret", "metadata": {"name": "s"}, "data": {"password": "c2VjcmV0"}}
    )
    cluster.api.create(
        {
            "kind": "Service",
            "metadata": {"name": "web-db"},
            "spec": {"ports": [{"port": 5432}], "clusterIP": "10.96.0.9"},
        }
    )
    secret = {"secretKeyRef": {"name": "s", "key": "password"}}
    document = pod(
        "p",
        "sh",
        "-c",
        "echo $COLOR $P $NAME $CPU $WEB_DB_SERVICE_HOST:$WEB_DB_SERVICE_PORT '$(GREETING)'",
        envFrom=[{"configMapRef": {"name": "c"}}],
        env=[
            {"name": "P", "valueFrom": secret},
            {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            {"name": "GREETING", "value": "hi-$(NAME)-$(NONE)"},
        ],
        resources={"limits": {"cpu": "1500m"}},
    )
    cluster.api.create(document)
    cluster.sleep(5)
    assert cluster.api.pod_logs("p") == ["blue secret p 2 10.96.0.9:5432 hi-p-$(NONE)"]


def test_mounted_objects(cluster: Cluster) -> None:
    """A file follows its object; items choose keys and paths; the mount is read-only."""
    data = {"a.txt": "one", "b.txt": "two"}
    cluster.api.create({"kind": "ConfigMap", "metadata": {"name": "c"}, "data": data})
    show = "cat /etc/web/first; echo"
    script = f"ls /etc/web; {show}; sleep 20; {show}; touch /etc/web/x"
    document = sh("p", script, volumeMounts=[{"name": "v", "mountPath": "/etc/web"}])
    items = [{"key": "a.txt", "path": "first"}]
    document["spec"]["volumes"] = [{"name": "v", "configMap": {"name": "c", "items": items}}]
    cluster.api.create(document)
    cluster.sleep(10)
    cluster.api.patch("ConfigMap", "c", {"data": {"a.txt": "three"}})
    cluster.sleep(20)
    assert sorted(cluster.api.pod_logs("p")) == [
        "first",
        "one",
        "three",
        "touch: /etc/web/x: Read-only file system",
    ]
    assert phase(cluster, "p") == "Failed"


def test_exec_probes_run_their_command(cluster: Cluster) -> None:
    """The liveness example of the Kubernetes documentation."""
    script = "touch /tmp/healthy; sleep 30; rm -f /tmp/healthy; sleep 600"
    probe = {
        "exec": {"command": ["cat", "/tmp/healthy"]},
        "initialDelaySeconds": 5,
        "periodSeconds": 5,
    }
    cluster.api.create(sh("p", script, policy="Always", livenessProbe=probe))
    cluster.sleep(34)
    assert main(cluster, "p")["restartCount"] == 0
    cluster.sleep(20)
    assert main(cluster, "p")["restartCount"] == 1
    message = "Liveness probe failed: cat: /tmp/healthy: No such file or directory"
    assert ("Unhealthy", message) in events(cluster, "p")


def test_a_probe_that_sleeps_too_long_times_out(cluster: Cluster) -> None:
    """timeoutSeconds is one second unless it is given."""
    probe = {"exec": {"command": ["sleep", "5"]}, "periodSeconds": 5}
    cluster.api.create(sh("p", "sleep 600", policy="Always", readinessProbe=probe))
    cluster.sleep(20)
    assert not main(cluster, "p")["ready"]
    assert ("Unhealthy", 'Readiness probe failed: command "sleep 5" timed out after 1s') in events(
        cluster, "p"
    )


def test_a_pre_stop_hook_is_a_program(cluster: Cluster) -> None:
    """It takes its time, sees the container's files, and a failure is an Event."""
    hook = {"exec": {"command": ["sh", "-c", "sleep 6; test -f /tmp/ready"]}}
    cluster.api.create(sh("p", "sleep 600", policy="Always", lifecycle={"preStop": hook}))
    cluster.sleep(5)
    cluster.api.delete("Pod", "p")
    cluster.sleep(5)
    assert phase(cluster, "p") == "Running"
    cluster.sleep(3)
    with pytest.raises(NotFound):
        cluster.api.get("Pod", "p")
    assert ("FailedPreStopHook", "PreStopHook failed") in events(cluster, "p")


def test_termination_messages(cluster: Cluster) -> None:
    """From the file, or from the end of the log where the policy asks for it."""
    cluster.api.create(sh("file", "echo why > /dev/termination-log; exit 1"))
    policy = "FallbackToLogsOnError"
    cluster.api.create(sh("log", "echo oops; exit 1", terminationMessagePolicy=policy))
    cluster.api.create(sh("none", "echo oops; exit 1"))
    cluster.sleep(5)
    messages = {
        name: main(cluster, name)["state"]["terminated"].get("message")
        for name in ("file", "log", "none")
    }
    assert messages == {"file": "why\n", "log": "oops\n", "none": None}


def test_exec_runs_in_the_container(cluster: Cluster) -> None:
    """The main program's files and variables; an exit code, and the time that it would take."""
    cluster.api.create(sh("p", "echo 1 > /tmp/x; sleep 600", policy="Always"))
    cluster.sleep(5)
    result = cluster.api.exec("p", ["sh", "-c", "cat /tmp/x; sleep 2; echo bad >&2; exit 4"])
    assert (result.stdout, result.stderr, result.code, result.seconds) == ("1\n", "bad\n", 4, 2.0)
    clock = cluster.api.exec("p", ["sh", "-c", "date +%s; sleep 5; date +%s"]).stdout.split()
    assert int(clock[1]) - int(clock[0]) == 5
    assert cluster.api.exec("p", ["cat"], stdin="a\nb\n").stdout == "a\nb\n"
    unknown = cluster.api.exec("p", ["vim"])
    assert unknown.code == 127
    assert unknown.stderr.startswith('"vim": not found; available commands: awk, base64, ')


@pytest.mark.parametrize(
    ("name", "command", "container", "message"),
    [
        ("p", [], None, "at least one command"),
        ("p", "ls", None, "at least one command"),
        ("p", ["ls"], "other", "container other is not valid for pod p"),
        ("done", ["ls"], None, 'container not found \\("main"\\)'),
        ("unbound", ["ls"], None, "does not have a host assigned"),
    ],
)
def test_exec_is_refused_with_a_reason(
    cluster: Cluster, name: str, command: Any, container: str | None, message: str
) -> None:
    """No command, no such container, not running, not scheduled."""
    cluster.api.create(sh("p", "sleep 600", policy="Always"))
    cluster.api.create(sh("done", "true"))
    waiting = sh("unbound", "true")
    waiting["spec"]["nodeSelector"] = {"nowhere": "x"}
    cluster.api.create(waiting)
    cluster.sleep(5)
    with pytest.raises(BadRequest, match=message):
        cluster.api.exec(name, command, container=container)
    with pytest.raises(NotFound):
        cluster.api.exec("ghost", ["ls"])


def test_dns_in_an_init_container(cluster: Cluster) -> None:
    """The documentation's example: wait until a Service exists."""
    document = sh("p", "echo started")
    script = "until nslookup web.default.svc.cluster.local; do echo waiting; sleep 2; done"
    document["spec"]["initContainers"] = [
        {"name": "wait", "image": "busybox", "command": ["sh", "-c", script]}
    ]
    cluster.api.create(document)
    cluster.sleep(30)
    assert phase(cluster, "p") == "Pending"
    cluster.api.create(
        {"kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
    )
    cluster.sleep(5)
    assert phase(cluster, "p") == "Succeeded"


def test_the_same_seed_gives_the_same_run() -> None:
    """Programs draw from the seed and the clock alone."""
    logs = []
    for _ in range(2):
        with Cluster(nodes=1, seed=5, hpa=False) as cluster:
            cluster.api.create(sh("p", "for i in 1 2 3; do echo $RANDOM; date; sleep 1; done"))
            cluster.sleep(10)
            logs.append(cluster.api.pod_logs("p"))
    assert logs[0] == logs[1]
    assert len(set(logs[0])) == 6


@pytest.mark.parametrize("script", [("sh", "-c", "echo hi"), ()], ids=["a command", "the image's"])
def test_variables_that_name_each_other_do_not_grow_without_end(
    cluster: Cluster, script: tuple[str, ...]
) -> None:
    """Forty variables that double each other: the kernel refuses to start such a process."""
    env = [{"name": f"E{i}", "value": f"$(E{i - 1})$(E{i - 1})"} for i in range(40)]
    cluster.api.create(pod("bomb", *script, env=env))
    cluster.api.create(pod("small", *script, env=env[:8]))
    cluster.sleep(10)
    assert main(cluster, "bomb")["state"]["terminated"]["exitCode"] == 255
    (line,) = cluster.api.pod_logs("bomb")
    assert line.startswith("exec ")
    assert line.endswith(": argument list too long")
    assert main(cluster, "small")["state"]["terminated"]["exitCode"] == 0

"""Decision records of a kubelet: why a pod was refused, restarted, unready, killed or evicted.

Admission and start without a problem leave no record: `explain()` then shows the decision of the
scheduler.

No counterpart in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from kubesim.client import Decision, RuleStep
from kubesim.kubelet.pod.backoff import MAX_SECONDS
from kubesim.kubelet.pod.phase import EndCause
from kubesim.kubelet.pod.probes import ProbeResult
from kubesim.objects import meta
from kubesim.quantity import count_of, format_memory

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict

LIFECYCLE = "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/"
HOOKS = "https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/"
IMAGES = "https://kubernetes.io/docs/concepts/containers/images/"
REMEDIES = {
    "InvalidWorkload": "the annotation were corrected",
    "Evicted": "the node had no memory pressure, or the pod requested memory",
    "NodeAffinity": "the node had the labels that the pod selects",
    "TaintToleration": "the pod tolerated the node's NoExecute taints",
}
RESOURCES = "https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/"

SOURCES = {
    "memory limit": RESOURCES,
    "liveness probe": f"{LIFECYCLE}#container-probes",
    "startup probe": f"{LIFECYCLE}#container-probes",
}


def pod_record(
    now: float,
    pod: PodDict,
    component: str,
    verdict: str,
    *steps: RuleStep,
    binding: str,
    would_change_if: str,
    data: Mapping[str, object] | None = None,
) -> Decision:
    """Return the record of a kubelet's decision about a pod.

    Args:
        now: second.
        pod: the pod.
        component: name of the kubelet.
        verdict, steps, binding, would_change_if, data: see `Decision`.
    """
    return Decision(
        now,
        meta.resource_version_of(pod),
        component,
        meta.reference("pod", meta.key_of(pod)),
        verdict,
        steps,
        binding=binding,
        would_change_if=would_change_if,
        data=data or {},
    )


def restart_record(
    now: float,
    pod: PodDict,
    component: str,
    *,
    container: str,
    ended: Mapping[str, object],
    policy: str,
    restarts: int,
    delay: float,
    killed: bool,
    cause: EndCause | None = None,
) -> Decision:
    """Return why a container is restarted, and when.

    Args:
        now, pod, component: see `pod_record`.
        container: its name.
        ended: its termination.
        policy: restartPolicy of the pod.
        restarts: number of restarts so far.
        delay: seconds of the back-off.
        killed: the kubelet killed it for a failed probe.
        cause: why the kubelet ended it; None: it ended by itself.
    """
    code, reason = ended.get("exitCode"), str(ended.get("reason", ""))
    binding = "back-off" if delay else "restart policy"
    if cause is not None or reason == "StartError":
        binding = "command" if cause is None else cause.rule
    cause = cause or _own_end(ended, container, policy)
    steps = (
        RuleStep("exit", {"exit_code": code, "reason": reason}, f"container {container} ended", ""),
        RuleStep(cause.rule, cause.figures, cause.result, SOURCES.get(cause.rule, LIFECYCLE)),
        RuleStep(
            "restart policy",
            {"policy": policy, "failed_probe": killed},
            "it is started again" if not killed else "killed by its kubelet: started again",
            f"{LIFECYCLE}#restart-policy",
        ),
        RuleStep(
            "back-off",
            {"restarts": restarts, "seconds": delay, "cap_seconds": MAX_SECONDS},
            f"{delay:g} s after its exit" if delay else "at once: the first restart has no delay",
            f"{LIFECYCLE}#restart-policy",
        ),
    )
    return pod_record(
        now,
        pod,
        component,
        f"container {container} (exit code {code}, {reason}) starts again in {delay:g} s",
        *steps,
        binding=binding,
        would_change_if=cause.way_out,
        data={"restarts": restarts, "delay_seconds": delay, "exit_code": code},
    )


def _own_end(ended: Mapping[str, object], container: str, policy: str) -> EndCause:
    """Return why a container ended that its kubelet did not kill."""
    code, message = ended.get("exitCode"), str(ended.get("message") or "")
    if ended.get("reason") == "StartError":
        way_out = "its command named a program that its image contains"
        return EndCause("command", {}, f"it could not be started: {message}", way_out)
    if code == 0:
        change = "its program ran on (for work that ends: restartPolicy OnFailure, or a Job)"
        return EndCause("exit code", {"exit_code": 0}, "its program ended by itself", change)
    change = "its program ran on" if policy == "Always" else "its program ended with exit code 0"
    change += f"; kubectl logs -c {container} --previous shows what it wrote"
    result = f"its program ended by itself with exit code {code}"
    return EndCause("exit code", {"exit_code": code}, message or result, change)


def memory_cause(used: int, limit: int | None) -> EndCause:
    """Return the cause of a container that used more memory than its limit, in bytes."""
    at_most = "none" if limit is None else format_memory(limit)
    return EndCause(
        "memory limit",
        {"used_bytes": used, "limit_bytes": limit},
        f"it used {format_memory(used)}, its limit is {at_most}",
        f"resources.limits.memory were more than {format_memory(used)}, or it used less",
    )


def probe_cause(result: ProbeResult) -> EndCause:
    """Return the cause of a container that failed its liveness or startup probe."""
    times = count_of(result.failures, "time")
    output = result.output.strip() or "nothing (it wrote no output)"
    return EndCause(
        f"{result.kind} probe",
        {"failures_in_a_row": result.failures, "failure_threshold": result.threshold},
        f"failed {times} in a row: {output}",
        f"its {result.kind} probe succeeded; the last attempt said: {output}",
    )


def replaced_record(
    now: float, pod: PodDict, component: str, container: str, before: str, image: str
) -> Decision:
    """Return why a running container is replaced.

    Args:
        now, pod, component: see `pod_record`.
        container: its name.
        before, image: the image that it runs, and the one that the spec names by now.
    """
    return pod_record(
        now,
        pod,
        component,
        f"container {container} is replaced: its definition changed",
        RuleStep(
            "definition",
            {"runs": before, "spec": image},
            "its image in the spec is another one: it is killed and started again",
            LIFECYCLE,
        ),
        binding="definition",
        would_change_if=f"the image in the spec were still {before}",
    )


def hook_record(now: float, pod: PodDict, component: str, container: str) -> Decision:
    """Return why a container is killed right after its start.

    Args:
        now, pod, component: see `pod_record`.
        container: its name.
    """
    return pod_record(
        now,
        pod,
        component,
        f"container {container} is killed: its postStart hook failed",
        RuleStep("postStart hook", {}, "failed", HOOKS),
        binding="postStart hook",
        would_change_if="the handler in lifecycle.postStart succeeded (exit code 0)",
    )


def probe_record(
    now: float, pod: PodDict, component: str, container: str, result: ProbeResult
) -> Decision:
    """Return how a probe changed the state of a container.

    Args:
        now, pod, component: see `pod_record`.
        container: its name.
        result: the attempt.
    """
    step = RuleStep(
        f"{result.kind} probe",
        {"failures_in_a_row": result.failures, "failure_threshold": result.threshold},
        result.output or ("succeeded" if result.ok else "failed"),
        f"{LIFECYCLE}#container-probes",
    )
    if result.ok:
        verdict = f"container {container} is {'started' if result.kind == 'startup' else 'ready'}"
        change = f"the probe failed {count_of(result.threshold, 'time')} in a row"
    elif result.after is False and result.kind != "readiness":
        verdict = f"container {container} failed its {result.kind} probe and is killed"
        change = "an attempt before the last one had succeeded"
    else:
        verdict = f"container {container} is not {'ready' if result.kind == 'readiness' else 'up'}"
        if result.after:
            verdict = f"container {container} failed an attempt of its {result.kind} probe"
        output = result.output.strip() or "nothing (it wrote no output)"
        change = f"its {result.kind} probe succeeded; the last attempt said: {output}"
    return pod_record(
        now,
        pod,
        component,
        verdict,
        step,
        binding=f"{result.kind} probe",
        would_change_if=change,
        data={"failures": result.failures, "threshold": result.threshold},
    )


IMAGE_REMEDY = "its image were one that exists (a name that is not :does-not-exist)"
IMAGE_REMEDIES = {
    "ErrImageNeverPull": "another pod brought the image to this node, or its imagePullPolicy were"
    " IfNotPresent (in the template, or of a new pod)",
    "InvalidImageName": "its image were a reference such as nginx:1.27 (registry/name:tag, the"
    " name in lower case)",
}


def image_record(
    now: float,
    pod: PodDict,
    component: str,
    container: str,
    reason: str,
    message: str,
    wait: float,
) -> Decision:
    """Return why a container waits for its image.

    Args:
        now, pod, component: see `pod_record`.
        container: its name.
        reason, message: of its waiting state.
        wait: seconds to the next attempt.
    """
    return pod_record(
        now,
        pod,
        component,
        f"container {container} has no image: {reason}",
        RuleStep("image", {"next_try_seconds": wait}, message, IMAGES),
        binding="image",
        would_change_if=IMAGE_REMEDIES.get(reason, IMAGE_REMEDY),
        data={"reason": reason},
    )


def waiting_record(
    now: float, pod: PodDict, component: str, what: str, message: str, wait: float
) -> Decision:
    """Return why a container, or the volumes of its pod, wait for a ConfigMap or a Secret.

    Args:
        now, pod, component: see `pod_record`.
        what: name of the container, or "volumes".
        message: what is missing.
        wait: seconds to the next attempt.
    """
    return pod_record(
        now,
        pod,
        component,
        f"{what} cannot be set up: {message}",
        RuleStep("configuration", {"next_try_seconds": wait}, message, LIFECYCLE),
        binding="configuration",
        would_change_if="the object that it names existed, with that key, or were optional",
    )


def refusal_record(
    now: float,
    pod: PodDict,
    component: str,
    reason: str,
    message: str,
    figures: Mapping[str, object] | None = None,
) -> Decision:
    """Return why a node refused a pod that was bound to it.

    Args:
        now, pod, component: see `pod_record`.
        reason, message: of the pod's status.
        figures: requested, used and allocatable resources.
    """
    return pod_record(
        now,
        pod,
        component,
        f"refused: {reason}",
        RuleStep("admission", dict(figures or {}), message, LIFECYCLE),
        binding=reason,
        would_change_if=REMEDIES.get(reason, "the pod requested less, or other pods left the node"),
        data={"reason": reason},
    )


def ended_record(
    now: float, pod: PodDict, component: str, reason: str, message: str, change: str
) -> Decision:
    """Return why a kubelet ended a pod.

    Args:
        now, pod, component: see `pod_record`.
        reason, message: of the pod's status.
        change: what would have kept the pod running.
    """
    return pod_record(
        now,
        pod,
        component,
        f"ended by its kubelet: {reason}",
        RuleStep(reason, {}, message, LIFECYCLE),
        binding=reason,
        would_change_if=change,
    )

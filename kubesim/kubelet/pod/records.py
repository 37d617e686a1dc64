"""Why a kubelet did what it did to a pod: refused, restarted, not ready, killed, evicted.

Nothing is recorded of what goes as planned (admitted, started): `explain()` shows the scheduler's
decision then.

No counterpart in Kubernetes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubesim.client import Decision, RuleStep
from kubesim.kubelet.pod.backoff import FORGET_SECONDS, MAX_SECONDS
from kubesim.kubelet.pod.probes import ProbeNews
from kubesim.objects import meta
from kubesim.objects.frozen import Document

LIFECYCLE = "https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/"
IMAGES = "https://kubernetes.io/docs/concepts/containers/images/"
MENDS = {
    "InvalidWorkload": "the annotation were mended",
    "Evicted": "the node had no memory pressure, or the pod asked for memory",
    "NodeAffinity": "the node had the labels that the pod asks for",
    "TaintToleration": "the pod tolerated the node's NoExecute taints",
}
RESOURCES = "https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/"


def pod_record(
    now: float,
    pod: Document,
    component: str,
    verdict: str,
    *steps: RuleStep,
    binding: str,
    would_change_if: str,
    data: Mapping[str, Any] | None = None,
) -> Decision:
    """A decision of a kubelet about a pod.

    Args:
        now, pod, component: second, whom it is about, who decided.
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
    pod: Document,
    component: str,
    *,
    container: str,
    ended: Mapping[str, Any],
    policy: str,
    restarts: int,
    delay: float,
    killed: bool,
) -> Decision:
    """Why a container is started again, and when.

    Args:
        now, pod, component: second, whom it is about, who decided.
        container: its name.
        ended: its termination.
        policy: restartPolicy of the pod.
        restarts: how often it was started again before.
        delay: seconds of the back-off.
        killed: the kubelet killed it for a failed probe.
    """
    code, reason = ended.get("exitCode"), str(ended.get("reason", ""))
    memory = reason == "OOMKilled"
    steps = [
        RuleStep("exit", {"exit_code": code, "reason": reason}, f"container {container} ended", ""),
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
    ]
    if memory:
        steps.insert(1, RuleStep("memory limit", {}, "it used more than its limit", RESOURCES))
    return pod_record(
        now,
        pod,
        component,
        f"container {container} (exit code {code}, {reason}) starts again in {delay:g} s",
        *steps,
        binding="memory limit" if memory else "back-off" if delay else "restart policy",
        would_change_if=(
            f"it ran for more than {FORGET_SECONDS:g} s: then its next restart has no delay"
            if policy == "Always"
            else "it ended with exit code 0: then it is not started again"
        ),
        data={"restarts": restarts, "delay_seconds": delay, "exit_code": code},
    )


def probe_record(
    now: float, pod: Document, component: str, container: str, news: ProbeNews
) -> Decision:
    """What a probe made of a container."""
    step = RuleStep(
        f"{news.kind} probe",
        {"failures_in_a_row": news.failures, "failure_threshold": news.threshold},
        news.output or ("succeeded" if news.ok else "failed"),
        f"{LIFECYCLE}#container-probes",
    )
    if news.ok:
        verdict = f"container {container} is {'started' if news.kind == 'startup' else 'ready'}"
        change = f"the probe failed {news.threshold} times in a row"
    elif news.after is False and news.kind != "readiness":
        verdict = f"container {container} failed its {news.kind} probe and is killed"
        change = "an attempt before the last one had succeeded"
    else:
        verdict = f"container {container} is not {'ready' if news.kind == 'readiness' else 'up'}"
        if news.after:
            verdict = f"container {container} failed an attempt of its {news.kind} probe"
        change = "the next attempt succeeded"
    return pod_record(
        now,
        pod,
        component,
        verdict,
        step,
        binding=f"{news.kind} probe",
        would_change_if=change,
        data={"failures": news.failures, "threshold": news.threshold},
    )


def image_record(
    now: float,
    pod: Document,
    component: str,
    container: str,
    reason: str,
    message: str,
    wait: float,
) -> Decision:
    """Why a container waits for its image."""
    return pod_record(
        now,
        pod,
        component,
        f"container {container} has no image: {reason}",
        RuleStep("image", {"next_try_seconds": wait}, message, IMAGES),
        binding="image",
        would_change_if="its image were one that exists (a name that is not :does-not-exist)",
        data={"reason": reason},
    )


def waiting_record(
    now: float, pod: Document, component: str, what: str, message: str, wait: float
) -> Decision:
    """Why a container, or the volumes of its pod, wait for a ConfigMap or a Secret."""
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
    pod: Document,
    component: str,
    reason: str,
    message: str,
    figures: Mapping[str, Any] | None = None,
) -> Decision:
    """Why a node refused a pod that was bound to it."""
    return pod_record(
        now,
        pod,
        component,
        f"refused: {reason}",
        RuleStep("admission", dict(figures or {}), message, LIFECYCLE),
        binding=reason,
        would_change_if=MENDS.get(reason, "the pod asked for less, or other pods left the node"),
        data={"reason": reason},
    )


def ended_record(
    now: float, pod: Document, component: str, reason: str, message: str, change: str
) -> Decision:
    """Why a kubelet ended a pod for good."""
    return pod_record(
        now,
        pod,
        component,
        f"ended by its kubelet: {reason}",
        RuleStep(reason, {}, message, LIFECYCLE),
        binding=reason,
        would_change_if=change,
    )

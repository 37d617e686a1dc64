"""Priority: pods get the priority of their PriorityClass.

Source: plugin/pkg/admission/priority/admission.go.
"""

from __future__ import annotations

from kubesim.apiserver.registry import ServerView
from kubesim.apiserver.validation import fill
from kubesim.errors import Forbidden
from kubesim.objects import meta
from kubesim.objects.frozen import Document

PREEMPT = "PreemptLowerPriority"
GROUP = "scheduling.k8s.io"
PREFIX = f"/registry/{GROUP}/priorityclasses/"


def admit_priority_class(api: ServerView, priority: Document, old: Document | None) -> None:
    """Refuse a second class that is the default of the cluster.

    Args:
        api: lists the other classes.
        priority: the new PriorityClass.
        old: the stored one; None at creation.

    Raises:
        Forbidden: another class is the default already.
    """
    if priority.get("globalDefault") is not True:
        return
    name = meta.name_of(priority)
    for other in _classes(api):
        if other.get("globalDefault") and meta.name_of(other) != name:
            reason = (
                f"PriorityClass {meta.name_of(other)} is already marked as default. Only one "
                "default can exist"
            )
            message = f'priorityclasses.{GROUP} "{name}" is forbidden: {reason}'
            raise Forbidden(message, kind="priorityclasses", group=GROUP, name=name)


def admit_pod(api: ServerView, pod: Document, old: Document | None) -> None:
    """Set spec.priority and spec.preemptionPolicy of a pod from its PriorityClass.

    Args:
        api: lists the classes.
        pod: the pod; it is changed in place.
        old: the stored pod; None at creation. An update keeps its values.

    Raises:
        Forbidden: the class does not exist, or the pod gives another priority or policy.
    """
    spec = pod.get("spec")
    if not isinstance(spec, dict):
        return
    if old is not None:
        for field in ("priorityClassName", "priority", "preemptionPolicy"):
            fill(spec, field, (old.get("spec") or {}).get(field))
            if spec[field] is None:
                del spec[field]
        return
    name, classes = spec.get("priorityClassName"), _classes(api)
    if name:
        chosen = next((each for each in classes if meta.name_of(each) == name), None)
        if chosen is None:
            raise _refused(pod, f"no PriorityClass with name {name} was found")
    else:
        chosen = next((each for each in classes if each.get("globalDefault")), None)
        if chosen is not None:
            spec["priorityClassName"] = meta.name_of(chosen)
    priority = chosen["value"] if chosen else 0
    policy = chosen["preemptionPolicy"] if chosen else PREEMPT
    if spec.get("priority") not in (None, priority):
        raise _refused(
            pod,
            f"the integer value of priority ({spec['priority']}) must not be provided in pod spec; "
            f"priority admission controller computed {priority} from the given PriorityClass name",
        )
    if spec.get("preemptionPolicy") not in (None, policy):
        raise _refused(
            pod,
            f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be "
            f"provided in pod spec; priority admission controller computed {policy} from the given "
            "PriorityClass name",
        )
    spec["priority"], spec["preemptionPolicy"] = priority, policy


def _refused(pod: Document, reason: str) -> Forbidden:
    name = meta.name_of(pod)
    return Forbidden(f'pods "{name}" is forbidden: {reason}', kind="pods", name=name)


def _classes(api: ServerView) -> list[Document]:
    return [kv.value for kv in api.store.list(PREFIX).items]

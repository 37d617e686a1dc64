"""RuntimeClass: pods get the overhead, the node selector and the tolerations of their class.

Source: plugin/pkg/admission/runtimeclass/admission.go, pkg/util/tolerations/tolerations.go.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from kubesim.apiserver.registry import ServerView
from kubesim.errors import Forbidden
from kubesim.quantity import Amount, parse_quantity

if TYPE_CHECKING:
    from kubesim.objects.types import PodDict, PodSpecDict, TolerationDict

PREFIX = "/registry/node.k8s.io/runtimeclasses/"
DIFFERENT = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
WITHOUT_CLASS = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"


def admit_pod(api: ServerView, pod: PodDict) -> None:
    """Set what the RuntimeClass of a new pod defines.

    Args:
        api: has the classes.
        pod: the new pod; it is changed in place.

    Raises:
        Forbidden: there is no such class, or the pod contradicts it.
    """
    spec = pod["spec"]
    if not _is_readable(spec):
        return  # validation refuses it
    name, overhead = spec.get("runtimeClassName"), spec.get("overhead")
    defined = None
    if name is not None:
        stored = api.store.get(f"{PREFIX}{name}")
        if stored is None:
            raise _refused(pod, f'pod rejected: RuntimeClass "{name}" not found')
        runtime = stored.value
        if runtime.get("overhead") is not None:
            defined = runtime["overhead"].get("podFixed") or {}
            if overhead is not None and not _same_amounts(defined, overhead):
                raise _refused(pod, DIFFERENT)
            if defined:
                spec["overhead"] = dict(defined)
        if runtime.get("scheduling") is not None:
            scheduling = runtime["scheduling"]
            _set_node_selector(pod, spec, scheduling.get("nodeSelector") or {})
            merged = merged_tolerations(
                spec.get("tolerations") or (), scheduling.get("tolerations") or ()
            )
            if merged:
                spec["tolerations"] = merged
    if defined is None and overhead is not None:
        raise _refused(pod, WITHOUT_CLASS)


def _is_readable(spec: PodSpecDict) -> bool:
    """Return whether the fields that count have their types: validation comes after admission."""
    name: object = spec.get("runtimeClassName")
    selector: object = spec.get("nodeSelector") or {}
    overhead: object = spec.get("overhead") or {}
    tolerations: object = spec.get("tolerations") or []
    if not isinstance(name, str | None) or not isinstance(selector, dict):
        return False
    if not isinstance(overhead, dict) or not isinstance(tolerations, list):
        return False
    try:
        for amount in overhead.values():
            parse_quantity(amount)
    except (TypeError, ValueError):
        return False
    return all(
        isinstance(each, dict) and isinstance(each.get("tolerationSeconds"), int | None)
        for each in tolerations
    )


def _same_amounts(first: Mapping[str, Amount], second: Mapping[str, Amount]) -> bool:
    return first.keys() == second.keys() and all(
        parse_quantity(first[name]) == parse_quantity(second[name]) for name in first
    )


def _set_node_selector(pod: PodDict, spec: PodSpecDict, required: Mapping[str, str]) -> None:
    selector = dict(spec.get("nodeSelector") or {})
    for key, value in required.items():
        own = selector.setdefault(key, value)
        if own != value:
            raise _refused(
                pod,
                f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                f"pod.spec.nodeSelector[{key}] = {own}",
            )
    if selector:
        spec["nodeSelector"] = selector


def merged_tolerations(
    first: Sequence[TolerationDict], second: Sequence[TolerationDict]
) -> list[TolerationDict]:
    """Return the tolerations of both, without those that another one includes.

    >>> merged_tolerations([{"key": "a", "operator": "Exists", "effect": "NoSchedule"}],
    ...                    [{"key": "a", "operator": "Exists"}])
    [{'key': 'a', 'operator': 'Exists'}]
    """
    every = [*first, *second]
    merged: list[TolerationDict] = []
    for index, each in enumerate(every):
        if any(_includes(other, each) for other in merged):
            continue
        if any(other != each and _includes(other, each) for other in every[index + 1 :]):
            continue
        merged.append(each)
    return merged


def _includes(wide: TolerationDict, each: TolerationDict) -> bool:
    """Return whether one toleration tolerates all that another one does."""
    if wide == each:
        return True
    wide_key, operator = wide.get("key") or "", wide.get("operator") or "Equal"
    if (each.get("key") or "") != wide_key and (wide_key or operator != "Exists"):
        return False
    effect = wide.get("effect") or ""
    if effect and (each.get("effect") or "") != effect:
        return False
    seconds = wide.get("tolerationSeconds")
    if effect == "NoExecute" and seconds is not None:
        own = each.get("tolerationSeconds")
        if own is None or own > seconds:
            return False
    if operator == "Equal":
        same = (each.get("value") or "") == (wide.get("value") or "")
        return each.get("operator") == "Equal" and same
    return operator == "Exists"


def _refused(pod: PodDict, reason: str) -> Forbidden:
    name = pod["metadata"].get("name") or ""
    return Forbidden(f'pods "{name}" is forbidden: {reason}', kind="pods", name=name)

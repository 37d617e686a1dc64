"""controllerRef management: adoption and release of pods (and of ReplicaSets by Deployments).

A controller claims the objects that its selector matches. It adopts a matching orphan, releases an
object that it controls but that no longer matches, and ignores an object that another controller
controls, whatever its labels are.

>>> from kubesim.objects.selectors import parse_label_selector
>>> owner = {"metadata": {"uid": "1"}}
>>> claim_action(owner, parse_label_selector("app=web"), {"metadata": {"labels": {"app": "web"}}})
'adopt'

Source: pkg/controller/controller_ref_manager.go (ClaimObject, AdoptPod, ReleasePod).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, cast

from kubesim.apiserver import KubeAPI
from kubesim.errors import Invalid, NotFound
from kubesim.objects import meta
from kubesim.objects.frozen import ReadOnlyDocument
from kubesim.objects.kindnames import D
from kubesim.objects.selectors import Selector

ClaimAction = Literal["keep", "adopt", "release", "ignore"]


def claim_action(owner: ReadOnlyDocument, selector: Selector, obj: ReadOnlyDocument) -> ClaimAction:
    """Decide whether an owner keeps, adopts, releases or ignores an object of its namespace.

    Args:
        owner: the document of the ReplicaSet, Deployment, ...
        selector: the owner's spec.selector.
        obj: a pod or a ReplicaSet.
    """
    controller = meta.controller_of(obj)
    matches = selector.matches(meta.labels_of(obj))
    if controller is not None:
        if controller.get("uid") != meta.uid_of(owner):
            return "ignore"
        if matches:
            return "keep"
        return "ignore" if meta.is_terminating(owner) else "release"
    if not matches or meta.is_terminating(owner) or meta.is_terminating(obj):
        return "ignore"
    return "adopt"


def claim(
    api: KubeAPI, owner: ReadOnlyDocument, selector: Selector, objects: Iterable[D]
) -> list[D]:
    """Adopt and release objects; return those that the owner controls afterwards.

    Before the first adoption the owner is read from the API server: an owner that was deleted and
    recreated under the same name has a new uid, and must not adopt with the old one.

    Args:
        api: the API server.
        owner: the document of the controller object.
        selector: its spec.selector.
        objects: candidates of the owner's namespace.

    Raises:
        NotFound: an orphan matches, but the owner was deleted or recreated.
    """
    claimed = []
    checked = False
    for obj in objects:
        action = claim_action(owner, selector, obj)
        if action == "keep":
            claimed.append(obj)
        elif action == "release":
            release(api, owner, obj)
        elif action == "adopt":
            if not checked:
                _check_can_adopt(api, owner)
                checked = True
            adopted = adopt(api, owner, obj)
            if adopted is not None:
                claimed.append(adopted)
    return claimed


def adopt(api: KubeAPI, owner: ReadOnlyDocument, obj: D) -> D | None:
    """Set the controllerRef of an orphan.

    Args:
        api: the API server.
        owner: the document of the controller object.
        obj: the orphan.

    Returns:
        The adopted object; None if it is gone or controlled by now.
    """
    return _patch_controller_ref(api, obj, meta.owner_reference(owner))


def release(api: KubeAPI, owner: ReadOnlyDocument, obj: ReadOnlyDocument) -> None:
    """Remove the owner's controllerRef from an object.

    Args:
        api: the API server.
        owner: the document of the controller object.
        obj: an object that it controls.
    """
    _patch_controller_ref(api, obj, {"$patch": "delete", "uid": meta.uid_of(owner)})


def _check_can_adopt(api: KubeAPI, owner: ReadOnlyDocument) -> None:
    """Raise NotFound if the owner was deleted, recreated, or is terminating."""
    kind, name = owner["kind"], meta.name_of(owner)
    fresh = api.peek(kind, name, meta.namespace_of(owner))
    if fresh is None or meta.uid_of(fresh) != meta.uid_of(owner):
        raise NotFound(f"original {kind} {meta.key_of(owner)} is gone", kind=kind, name=name)
    if meta.is_terminating(fresh):
        raise NotFound(f"{kind} {meta.key_of(owner)} has just been deleted", kind=kind, name=name)


def _patch_controller_ref(api: KubeAPI, obj: D, reference: ReadOnlyDocument) -> D | None:
    """Patch one owner reference; return None if the object is gone or controlled by now."""
    patch = {"metadata": {"uid": meta.uid_of(obj), "ownerReferences": [reference]}}
    name, namespace = meta.name_of(obj), meta.namespace_of(obj)
    try:
        written = api.patch(obj["kind"], name, patch, namespace, patch_type="strategic")
    except (NotFound, Invalid):
        return None
    return cast("D", written)  # of the kind of `obj`

"""Who owns what: adoption and release, shared by ReplicaSets (of pods) and Deployments (of sets).

An owner claims what its selector matches. What nobody controls is adopted; what it controls but no
longer matches is released; what another controller has is left alone, whatever its labels say.

>>> from kubesim.objects.selectors import parse_label_selector
>>> owner = {"metadata": {"uid": "1"}}
>>> verdict(owner, parse_label_selector("app=web"), {"metadata": {"labels": {"app": "web"}}})
'adopt'

Source: pkg/controller/controller_ref_manager.go (ClaimObject, AdoptPod, ReleasePod).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from kubesim.apiserver import KubeAPI
from kubesim.errors import Invalid, NotFound
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.selectors import Selector

Verdict = Literal["keep", "adopt", "release", "ignore"]


def verdict(owner: Mapping[str, Any], selector: Selector, obj: Mapping[str, Any]) -> Verdict:
    """What becomes of an object in the owner's namespace.

    Args:
        owner: the document of the ReplicaSet or Deployment.
        selector: its spec.selector.
        obj: a pod, or a ReplicaSet.
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
    api: KubeAPI, owner: Document, selector: Selector, objects: Iterable[Document]
) -> list[Document]:
    """Adopt, release, and return those that belong to the owner now.

    Before the first adoption the owner is read from the API server itself: one that was deleted
    and made anew under its name has another uid, and must not be given pods in its old one's name.

    Raises:
        NotFound: the owner to adopt for is gone, or is another one.
    """
    claimed = []
    checked = False
    for obj in objects:
        decided = verdict(owner, selector, obj)
        if decided == "keep":
            claimed.append(obj)
        elif decided == "release":
            _release(api, owner, obj)
        elif decided == "adopt":
            if not checked:
                _check_owner(api, owner)
                checked = True
            adopted = _adopt(api, owner, obj)
            if adopted is not None:
                claimed.append(adopted)
    return claimed


def _check_owner(api: KubeAPI, owner: Document) -> None:
    kind, name = owner["kind"], meta.name_of(owner)
    fresh = api.peek(kind, name, meta.namespace_of(owner))
    if fresh is None or meta.uid_of(fresh) != meta.uid_of(owner):
        raise NotFound(f"original {kind} {meta.key_of(owner)} is gone", kind=kind, name=name)
    if meta.is_terminating(fresh):
        raise NotFound(f"{kind} {meta.key_of(owner)} has just been deleted", kind=kind, name=name)


def _adopt(api: KubeAPI, owner: Document, obj: Document) -> Document | None:
    return _patch(api, obj, meta.owner_reference(owner))


def _release(api: KubeAPI, owner: Document, obj: Document) -> None:
    _patch(api, obj, {"$patch": "delete", "uid": meta.uid_of(owner)})


def _patch(api: KubeAPI, obj: Document, reference: Document) -> Document | None:
    """Change one owner reference; None if the object is gone meanwhile."""
    patch = {"metadata": {"uid": meta.uid_of(obj), "ownerReferences": [reference]}}
    name, namespace = meta.name_of(obj), meta.namespace_of(obj)
    try:
        return api.patch(obj["kind"], name, patch, namespace, patch_type="strategic")
    except (NotFound, Invalid):
        return None  # gone, or it has got another controller in this moment

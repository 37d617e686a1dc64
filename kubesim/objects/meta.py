"""What all objects have: metadata (names, uids, labels, owners) and conditions.

Documents are plain JSON; these functions read them without a class in between.

>>> pod = {"metadata": {"name": "web-0", "namespace": "shop", "labels": {"app": "web"}}}
>>> key_of(pod), labels_of(pod)
('shop/web-0', {'app': 'web'})
>>> conditions = set_condition([], "Ready", "False", "Starting", "", now="2025-01-01T00:00:00Z")
>>> conditions = set_condition(conditions, "Ready", "True", "", "", now="2025-01-01T00:00:05Z")
>>> conditions[0]["status"], conditions[0]["lastTransitionTime"]
('True', '2025-01-01T00:00:05Z')

Source: k8s.io/apimachinery/pkg/apis/meta/v1 (ObjectMeta, OwnerReference, Condition),
pkg/api/meta (SetStatusCondition), pkg/util/validation.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar, cast

from kubesim.objects.frozen import ReadOnlyDocument

if TYPE_CHECKING:
    from random import Random

    from kubesim.objects.types import ConditionDict, OwnerReferenceDict

C = TypeVar("C", bound=ReadOnlyDocument)  # the type of a condition: each kind has its own
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", re.ASCII)
SUBDOMAIN = re.compile(rf"(?=.{{1,253}}\Z){_LABEL.pattern}(\.{_LABEL.pattern})*", re.ASCII)
"""A name of RFC 1123 labels joined by dots, of at most `MAX_NAME` characters."""
SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # no vowels: no accidental words
MAX_NAME = 253
MAX_LABEL = 63
_EMPTY: ReadOnlyDocument = {}


def metadata_of(document: ReadOnlyDocument) -> ReadOnlyDocument:
    """Return the metadata, or an empty one."""
    return document.get("metadata") or _EMPTY


def name_of(document: ReadOnlyDocument) -> str:
    """Return metadata.name, or ""."""
    return str(metadata_of(document).get("name", ""))


def namespace_of(document: ReadOnlyDocument) -> str:
    """Return metadata.namespace; "" for cluster-scoped objects."""
    return str(metadata_of(document).get("namespace", ""))


def uid_of(document: ReadOnlyDocument) -> str:
    """Return metadata.uid, or ""."""
    return str(metadata_of(document).get("uid", ""))


def labels_of(document: ReadOnlyDocument) -> Mapping[str, str]:
    """Return metadata.labels, or an empty mapping."""
    return metadata_of(document).get("labels") or _EMPTY


def annotations_of(document: ReadOnlyDocument) -> Mapping[str, str]:
    """Return metadata.annotations, or an empty mapping."""
    return metadata_of(document).get("annotations") or _EMPTY


def resource_version_of(document: ReadOnlyDocument) -> int:
    """Return metadata.resourceVersion as a number; 0 if missing or empty.

    Clients may only compare it for equality; the simulator's own components know that it is the
    store's revision.
    """
    return int(metadata_of(document).get("resourceVersion") or 0)


def generation_of(document: ReadOnlyDocument) -> int:
    """Return metadata.generation, which counts the changes of spec."""
    return int(metadata_of(document).get("generation") or 0)


def is_terminating(document: ReadOnlyDocument) -> bool:
    """Whether deletionTimestamp is set."""
    return bool(metadata_of(document).get("deletionTimestamp"))


def key_of(document: ReadOnlyDocument) -> str:
    """Return ``namespace/name``, or ``name`` without a namespace (cache.MetaNamespaceKeyFunc)."""
    namespace = namespace_of(document)
    return f"{namespace}/{name_of(document)}" if namespace else name_of(document)


def reference(kind: str, key: str) -> str:
    """Return a reference as in decisions; the namespace ``default`` is left out.

    >>> reference("pod", "default/web-0"), reference("pod", "shop/web-0")
    ('pod/web-0', 'pod/shop/web-0')
    """
    return f"{kind}/{key.removeprefix('default/')}"


def reference_to(document: ReadOnlyDocument) -> str:
    """Return the reference of an object: its kind in lower case, and its key.

    >>> reference_to({"kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}})
    'deployment/shop/web'
    """
    return reference(str(document["kind"]).lower(), key_of(document))


def split_key(key: str) -> tuple[str | None, str]:
    """Split a key into (namespace, name); the namespace is None for cluster-scoped objects."""
    namespace, slash, name = key.rpartition("/")
    return (namespace, name) if slash else (None, name)


# -- owners -------------------------------------------------------------------------------------


def owner_reference(
    owner: ReadOnlyDocument, *, controller: bool = True, block_owner_deletion: bool = True
) -> OwnerReferenceDict:
    """Return an ownerReference for the metadata of a dependent.

    Args:
        owner: the owner, with kind and apiVersion.
        controller: whether the owner is the managing controller.
        block_owner_deletion: whether the dependent blocks a foreground deletion of the owner.
    """
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": name_of(owner),
        "uid": uid_of(owner),
        "controller": controller,
        "blockOwnerDeletion": block_owner_deletion,
    }


def owners_of(document: ReadOnlyDocument) -> list[OwnerReferenceDict]:
    """Return metadata.ownerReferences."""
    return metadata_of(document).get("ownerReferences") or []


def controller_of(document: ReadOnlyDocument) -> OwnerReferenceDict | None:
    """Return the owner reference with controller=true, or None."""
    for owner in owners_of(document):
        if owner.get("controller"):
            return owner
    return None


def is_owned_by(document: ReadOnlyDocument, owner: ReadOnlyDocument) -> bool:
    """Whether `owner` is the controller of the document, by uid."""
    controller = controller_of(document)
    return controller is not None and controller.get("uid") == uid_of(owner)


# -- conditions -------------------------------------------------------------------------------


def get_condition(document: ReadOnlyDocument, type: str) -> ConditionDict | None:
    """Return the condition of a type in status.conditions, or None."""
    for condition in (document.get("status") or {}).get("conditions") or ():
        if condition.get("type") == type:
            return condition  # type: ignore[no-any-return]
    return None


def find_condition(conditions: Iterable[C], type: str) -> C | None:
    """Return the condition of a type in a list of conditions, or None.

    Unlike `get_condition`, this keeps the fields that only one kind's conditions have.
    """
    return next((condition for condition in conditions if condition.get("type") == type), None)


def is_condition_true(document: ReadOnlyDocument, type: str) -> bool:
    """Whether a condition exists and its status is "True"."""
    condition = get_condition(document, type)
    return condition is not None and condition.get("status") == "True"


def set_condition(
    conditions: Sequence[C],
    type: str,
    status: str,
    reason: str = "",
    message: str = "",
    now: str = "",
    generation: int | None = None,
) -> list[C]:
    """Return a new list with one condition set; the others keep their place.

    lastTransitionTime changes only with the *status*, not with the reason.

    Args:
        conditions: the old list; not changed.
        type, status, reason, message: of the condition; status is "True", "False" or "Unknown".
        now: RFC 3339 time of a transition (`clock.timestamp()`); "": without a time.
        generation: metadata.generation that was observed; None: not stated.
    """
    new: dict[str, object] = {"type": type, "status": status}
    if generation:
        new["observedGeneration"] = generation
    if now:
        new["lastTransitionTime"] = now
    if reason:
        new["reason"] = reason
    if message:
        new["message"] = message
    written = cast("C", new)
    result: list[C] = []
    replaced = False
    for condition in conditions:
        if condition.get("type") != type:
            result.append(condition)
            continue
        replaced = True
        if condition.get("status") == status and condition.get("lastTransitionTime"):
            new["lastTransitionTime"] = condition["lastTransitionTime"]
        result.append(written)
    return result if replaced else [*result, written]


# -- names --------------------------------------------------------------------------------------


def valid_dns1123_label(name: object) -> bool:
    """Whether a name is an RFC 1123 label: lower-case letters, digits and '-', at most 63.

    >>> valid_dns1123_label("web-0"), valid_dns1123_label("Web"), valid_dns1123_label("web\\n")
    (True, False, False)
    """
    return isinstance(name, str) and len(name) <= MAX_LABEL and bool(_LABEL.fullmatch(name))


def valid_dns1123_subdomain(name: object) -> bool:
    """Whether a name is RFC 1123 labels joined by dots, at most 253 characters."""
    return isinstance(name, str) and bool(SUBDOMAIN.fullmatch(name))


LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?", re.ASCII)
LABEL_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', "
    "and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or "
    "'12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
LABEL_KEY_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def valid_label_value(value: str) -> bool:
    """Whether a label value is empty, or letters, digits, '-', '_' and '.', at most 63."""
    return len(value) <= MAX_LABEL and bool(LABEL_VALUE.fullmatch(value))


def valid_label_key(key: str) -> bool:
    """Whether a label key is a name with an optional prefix: ``app.kubernetes.io/name``."""
    prefix, slash, name = key.rpartition("/")
    return (not slash or valid_dns1123_subdomain(prefix)) and bool(name) and valid_label_value(name)


SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
PREFIX_RULE = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"


# Cached: every pod of a workload has the same labels. At most one long string is kept.
@lru_cache(maxsize=4096)
def label_key_error(key: str) -> str:
    """Return what is wrong with a label key (a qualified name), or ""."""
    if len(key) > 400:
        label_key_error.cache_clear()
    prefix, slash, name = key.rpartition("/")
    if "/" in prefix:
        return f"a qualified name {LABEL_KEY_RULE.removeprefix('name part ')} {PREFIX_RULE}"
    if slash and not prefix:
        return "prefix part must be non-empty"
    if slash and not valid_dns1123_subdomain(prefix):
        return f"prefix part {SUBDOMAIN_RULE}"
    if not name:
        return "name part must be non-empty"
    if len(name) > MAX_LABEL:
        return f"name part {at_most(MAX_LABEL)}"
    return "" if valid_label_key(key) else LABEL_KEY_RULE


@lru_cache(maxsize=4096)
def label_value_error(value: str) -> str:
    """Return what is wrong with a label value, or ""."""
    if len(value) > MAX_LABEL:
        label_value_error.cache_clear()
        return at_most(MAX_LABEL)
    return "" if LABEL_VALUE.fullmatch(value) else LABEL_VALUE_RULE


def at_most(length: int) -> str:
    """Return the rule that a name has a maximal length."""
    return f"must be no more than {length} bytes"


def random_suffix(rng: Random, length: int = 5) -> str:
    """Return a suffix for a generateName (k8s.io/apimachinery/pkg/util/rand.String)."""
    return "".join(rng.choice(SUFFIX_ALPHABET) for _ in range(length))

"""The hash of a pod template, in the names of ReplicaSets and of a DaemonSet's revisions. Pure.

Source: pkg/controller/controller_utils.go (ComputeHash), k8s.io/apimachinery/pkg/util/rand
(SafeEncodeString).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from kubesim.objects import meta

if TYPE_CHECKING:
    from kubesim.objects.types import PodTemplateSpecDict


def fnv1a_32(data: bytes) -> int:
    """Return the 32-bit FNV-1a hash of some bytes.

    >>> hex(fnv1a_32(b"a"))
    '0xe40c292c'
    """
    value = 0x811C9DC5
    for byte in data:
        value = (value ^ byte) * 0x01000193 & 0xFFFFFFFF
    return value


def encode_hash(number: int) -> str:
    """Encode a number with the ten symbols of pod-template-hash.

    >>> encode_hash(1234567890)
    '56789bcdf4'
    """
    return "".join(meta.SUFFIX_ALPHABET[ord(digit) % 27] for digit in str(number))


def pod_template_hash(template: PodTemplateSpecDict, collisions: int | None = None) -> str:
    """Return the pod-template-hash of a template.

    Upstream hashes a dump of Go's memory, which is not reproducible outside Go; ours hashes the
    template as canonical JSON.

    >>> pod_template_hash({"spec": {"containers": []}}) == pod_template_hash({"spec": {}})
    False

    Args:
        template: spec.template of the Deployment or DaemonSet.
        collisions: status.collisionCount, which changes the hash after a collision.
    """
    data = json.dumps(template, sort_keys=True, separators=(",", ":")).encode()
    if collisions is not None:
        data += collisions.to_bytes(8, "little")
    return encode_hash(fnv1a_32(data))

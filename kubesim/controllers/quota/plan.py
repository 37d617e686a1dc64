"""The status of a ResourceQuota, computed from the usage in its namespace: pure functions.

>>> quota = {"spec": {"hard": {"pods": "3"}}}
>>> status_of(quota, {"pods": Fraction(2), "secrets": Fraction(1)})
{'hard': {'pods': '3'}, 'used': {'pods': '2'}}

Source: pkg/controller/resourcequota/resource_quota_controller.go (syncResourceQuota).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING

from kubesim.objects.usage import Usage, text_of

if TYPE_CHECKING:
    from kubesim.objects.types import ResourceQuotaDict, ResourceQuotaStatusDict


def status_of(quota: ResourceQuotaDict, used: Usage) -> ResourceQuotaStatusDict:
    """Return the status of a quota: its hard limits, and the usage of the resources they name.

    Args:
        quota: the ResourceQuota document.
        used: usage of every resource in the quota's namespace.
    """
    hard = (quota.get("spec") or {}).get("hard") or {}
    shown: dict[str, str | float] = {
        name: text_of(name, used.get(name, Fraction(0))) for name in hard
    }
    return {"hard": dict(hard), "used": shown}


def object_count_resources(quota: ResourceQuotaDict) -> list[str]:
    """Return the resources that a quota counts by name, without their prefix ``count/``.

    >>> object_count_resources({"spec": {"hard": {"count/leases.coordination.k8s.io": "5"}}})
    ['leases.coordination.k8s.io']
    """
    hard = (quota.get("spec") or {}).get("hard") or {}
    parts = (str(name).partition("/") for name in hard)
    return [resource for prefix, _, resource in parts if prefix == "count"]

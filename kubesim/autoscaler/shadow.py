"""Shadows: further policies that look at the same HPAs, decide and record, and never act.

    cluster = Cluster(shadow_policies={"predictive": Predictive()})
    cluster.sleep(600)
    print(cluster.shadows("auto-pod"))               # what each would have done, side by side
    print(cluster.explain("hpa-shadow/auto-pod/predictive"))

A shadow sees the size that the real autoscaler gave the workload, not the one that it would have
given itself: each row answers "what would you do here?", not "where would you be by now?". For the
latter, give each policy a cluster of its own: `kubesim.experiment.compare`.

No counterpart in Kubernetes, whose users ask for a dry run of the HPA since 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from kubesim.apiserver import KubeAPI
from kubesim.autoscaler.horizontal import HorizontalController
from kubesim.client.decisions import DecisionLog
from kubesim.client.tools import ToolOptions
from kubesim.errors import BadRequest, NotFound
from kubesim.table import Table


def shadow_controllers(
    api: KubeAPI, policies: Mapping[str, Any] | None, **tools: Unpack[ToolOptions]
) -> list[HorizontalController]:
    """One controller for each policy, by the policy's name.

    Args:
        api: the API server.
        policies: by name; each has recommend(observation).
        tools: the other arguments of `HorizontalController`.

    Raises:
        BadRequest: a policy without recommend, or a name with a slash.
    """
    found = []
    for name, policy in (policies or {}).items():
        if not name or "/" in name:
            raise BadRequest(f"{name!r} is no name for a policy: write a word")
        if not callable(getattr(policy, "recommend", None)):
            raise BadRequest(f"{policy!r} is no policy; it needs recommend(observation)")
        found.append(
            HorizontalController(api, policy=policy, shadow=name, name=f"shadow/{name}", **tools)
        )
    return found


def side_by_side(decisions: DecisionLog, hpa: str) -> Table:
    """What the real autoscaler did at each look, and what each shadow would have done there.

    Args:
        decisions: the record.
        hpa: name of the HPA, with ``NAMESPACE/`` before it unless that is ``default``.

    Raises:
        NotFound: nothing was decided about that HPA yet.
    """
    real = decisions.of(f"hpa/{hpa}")
    prefix = f"hpa-shadow/{hpa}/"
    names = [name.removeprefix(prefix) for name in decisions.objects() if name.startswith(prefix)]
    if not real:
        raise NotFound(f"nothing was decided about the HPA {hpa!r} yet")
    wishes = {
        name: {d.time: d.data.get("to") for d in decisions.of(f"{prefix}{name}")} for name in names
    }
    rows = [
        (d.time, d.data.get("from"), d.data.get("to"), *(wishes[n].get(d.time) for n in names))
        for d in real
    ]
    return Table(("time [s]", "pods", "real", *names), rows, f"hpa/{hpa}: real and shadows")

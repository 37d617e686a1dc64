"""Shadow policies: further policies that decide and record for the same HPAs, and never act.

    cluster = Cluster(shadow_policies={"predictive": Predictive()})
    cluster.sleep(600)
    print(cluster.shadows("auto-pod"))               # the decisions of all policies, side by side
    print(cluster.explain("hpa-shadow/auto-pod/predictive"))

A shadow policy observes the workload as the real autoscaler has scaled it. So each row compares
decisions on the same state, not the states that the policies would have led to. To compare those,
give each policy its own cluster: `kubesim.experiment.compare`.

No counterpart in Kubernetes, whose users ask for a dry run of the HPA since 2021.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Unpack

from kubesim.apiserver import KubeAPI
from kubesim.autoscaler.horizontal import HorizontalController
from kubesim.autoscaler.types import AutoscalingPolicy
from kubesim.client.decisions import DecisionLog
from kubesim.client.tools import ToolOptions
from kubesim.errors import BadRequest, NotFound
from kubesim.table import Table


def shadow_controllers(
    api: KubeAPI, policies: Mapping[str, AutoscalingPolicy] | None, **tools: Unpack[ToolOptions]
) -> list[HorizontalController]:
    """Return one controller for each shadow policy.

    Args:
        api: the API server.
        policies: by name; each has recommend(observation).
        tools: the other arguments of `HorizontalController`.

    Raises:
        BadRequest: a policy without a method `recommend`, or a name with a slash.
    """
    controllers = []
    for name, policy in (policies or {}).items():
        if not name or "/" in name:
            raise BadRequest(f"{name!r} is not a valid name of a policy; write a word")
        controllers.append(
            HorizontalController(api, policy=policy, shadow=name, name=f"shadow/{name}", **tools)
        )
    return controllers


def side_by_side(decisions: DecisionLog, hpa: str) -> Table:
    """Return the decisions of the real autoscaler and of each shadow policy, one row for each pass.

    Args:
        decisions: the decision log.
        hpa: name of the HPA, with ``NAMESPACE/`` before it unless that is ``default``.

    Raises:
        NotFound: there is no decision about that HPA yet.
    """
    real = decisions.of(f"hpa/{hpa}")
    prefix = f"hpa-shadow/{hpa}/"
    names = [name.removeprefix(prefix) for name in decisions.objects() if name.startswith(prefix)]
    if not real:
        raise NotFound(f"there is no decision about the HPA {hpa!r} yet")
    desired = {
        name: {d.time: d.data.get("to") for d in decisions.of(f"{prefix}{name}")} for name in names
    }
    rows = [
        (d.time, d.data.get("from"), d.data.get("to"), *(desired[n].get(d.time) for n in names))
        for d in real
    ]
    return Table(("time [s]", "pods", "real", *names), rows, f"hpa/{hpa}: real and shadows")

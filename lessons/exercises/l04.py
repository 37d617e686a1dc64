"""Exercises of lesson 4: the autoscaler."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import ceil

from kubesim import Cluster
from kubesim.autoscaler import Observation
from kubesim.objects import Document
from kubesim.traffic import Sine
from lessons.check import Question, Task
from lessons.feedback.answers import a_class, a_dict, a_function, with_errors
from lessons.tuning.tune import pods_needed

CASES = (  # pods, utilization %, target %, desired
    (4, 84, 60, 6),
    (3, 55, 50, 3),
    (10, 45, 50, 10),
    (10, 44, 50, 9),
    (1, 250, 70, 4),
    (5, 20, 70, 2),
)
SETTLED_PODS = 3
RATE = 60.0


def _check_desired(desired: Callable[[int, int, int], object]) -> str | None:
    for pods, utilization, target, right in CASES:
        got = desired(pods, utilization, target)
        if got != right:
            within = 0.9 <= utilization / target <= 1.1
            why = "the ratio is within 0.9..1.1: do nothing" if within else "round up"
            return (
                f"{pods} pods at {utilization}% with target {target}%: "
                f"should be {right}, got {got} ({why})"
            )
    return None


def _good_desired(pods: int, utilization: int, target: int) -> int:
    ratio = utilization / target
    return pods if 0.9 <= ratio <= 1.1 else ceil(pods * ratio)


def _without_tolerance(pods: int, utilization: int, target: int) -> int:
    return ceil(pods * utilization / target)


def _rounds(pods: int, utilization: int, target: int) -> int:
    ratio = utilization / target
    return pods if 0.9 <= ratio <= 1.1 else round(pods * ratio)


def _check_config(config: Document) -> str | None:
    if set(config) - {"target_cpu"}:
        return 'change only the target: {"target_cpu": ...}'
    with Cluster(nodes=3, seed=7) as cluster:
        cluster.set_hpa_config(**config)
        cluster.set_traffic(RATE)
        cluster.sleep(900)
        sizes = [decision.data["to"] for decision in cluster.decisions.of("hpa/auto-pod")[-20:]]
    if set(sizes) == {SETTLED_PODS}:
        return None
    return f"in the end there are {sizes[-1]} pods, not {SETTLED_PODS}"


class Ratchet:
    """The solution: as many pods as the ratio requires, and never fewer than now."""

    def recommend(self, observation: Observation) -> int:
        """Return the desired number of pods."""
        return max(observation.current, ceil(pods_needed(observation)))


class _AlwaysOne:
    def recommend(self, observation: Observation) -> int:
        return 1


class _Raises:
    def recommend(self, observation: Observation) -> int:
        return int(1 / (observation.current - observation.current))


def _check_policy(policy: type) -> str | None:
    with Cluster(nodes=3, seed=7, policy=policy()) as cluster:
        cluster.set_traffic(Sine(base=60, amplitude=50, period_seconds=600))
        cluster.sleep(1200)
        errors = cluster.analytics.since(level="error", component="HPA").rows
        if errors:
            return errors[-1].message
        sizes = [decision.data["to"] for decision in cluster.decisions.of("hpa/auto-pod")]
    if any(b < a for a, b in pairwise(sizes)):
        return f"it scaled down: {sizes}"
    if max(sizes) < 5:
        return f"at 110 requests/s it had {max(sizes)} pods, which is too few"
    return None


q1 = Task(
    "4.1",
    "the algorithm in three lines",
    _check_desired,
    (
        "ratio = utilization / target",
        "If 0.9 <= ratio <= 1.1, nothing changes: return pods.",
        "Otherwise return math.ceil(pods * ratio): always round up.",
    ),
    """from math import ceil

def desired(pods, utilization, target):
    ratio = utilization / target
    return pods if 0.9 <= ratio <= 1.1 else ceil(pods * ratio)""",
    _good_desired,
    (_without_tolerance, _rounds),
    a_function("desired", "pods", "utilization", "target"),
)

q2 = Task(
    "4.2",
    "a target for three pods",
    _check_config,
    (
        "60 requests/s cost 600m in total; with three pods that is 200m each, plus 20m idle.",
        "220m of a request of 200m is 110 %. For which targets is that within the tolerance?",
    ),
    '{"target_cpu": 110}',
    {"target_cpu": 110},
    ({"target_cpu": 70}, {"max_pods": 3}),
    a_dict('{"target_cpu": ...}'),
)

bonus = Task(
    "4.3",
    "a policy that never scales down (bonus)",
    with_errors(_check_policy, "recommend"),
    (
        "observation.current is the current number of pods; pods_needed(observation) how many the "
        "load needs.",
        "Round up with math.ceil: 4.3 pods are 5 pods.",
        "Return max(observation.current, ceil(pods_needed(observation))).",
    ),
    """class Ratchet:
    def recommend(self, observation):
        return max(observation.current, ceil(pods_needed(observation)))""",
    Ratchet,
    (_AlwaysOne, _Raises),
    a_class("Policy", "recommend", "observation"),
)

questions = (
    Question(
        "The stabilization window for scaling down is 300 s. What does that mean?",
        {
            "a": (
                "at least 300 s pass between two scalings",
                False,
                "it can scale up at any time, and down once every higher recommendation is old enough",
            ),
            "b": (
                "it uses the highest recommendation of the last 300 s",
                True,
                "the safest one, so a short dip changes nothing",
            ),
            "c": (
                "it waits 300 s, then uses the newest recommendation",
                False,
                "a high recommendation from 200 s ago still counts",
            ),
        },
    ),
    Question(
        "Utilization is 76 %, the target 70 %. What happens?",
        {
            "a": ("one more pod", False, "76/70 = 1.086 is within the tolerance"),
            "b": (
                "one pod fewer",
                False,
                "the utilization is above the target, so there are rather too few",
            ),
            "c": ("nothing", True, "for ratios from 0.9 to 1.1, the HPA does nothing"),
        },
    ),
    Question(
        "Utilization is a percentage of what?",
        {
            "a": (
                "of the CPU that the pods request",
                True,
                "so without a request there is no utilization, and the HPA says so",
            ),
            "b": ("of the node's CPU", False, "the node does not matter here"),
            "c": ("of the pods' CPU limit", False, "the limit only caps what a pod can use"),
        },
    ),
)

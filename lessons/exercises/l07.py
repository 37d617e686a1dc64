"""Exercises of lesson 7: tuning an autoscaler."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from statistics import fmean

from kubesim.autoscaler import Behavior, Observation, State
from kubesim.autoscaler.policy.normalize import limits_at
from kubesim.errors import KubeSimError
from kubesim.experiment import Contender, compare
from kubesim.objects import Document
from lessons.check import Question, Task
from lessons.feedback.answers import a_class, a_dict, a_function, with_errors
from lessons.tuning.loads import LOADS, Corners, LoadProfile
from lessons.tuning.tune import Tuning, cost, pods_needed, tune

# -- 7.1: the next size ------------------------------------------------------------------------

History = list[tuple[float, int]]
CASES: tuple[tuple[float, int, int, History], ...] = (  # now, current, newest, history
    (600, 5, 2, [(585, 5), (570, 5)]),
    (600, 5, 8, [(585, 5), (570, 5)]),
    (600, 9, 3, [(585, 4), (400, 7), (290, 9)]),
    (600, 9, 3, [(585, 3), (570, 3), (301, 3), (200, 12)]),
    (600, 4, 3, [(585, 3), (330, 8)]),
    (600, 6, 2, [(300, 6), (299, 9), (420, 3)]),
)
WINDOW = 300.0


def _really(now: float, current: int, newest: int, history: History) -> int:
    """Return what the simulated HPA itself decides, with the default behavior."""
    state = State(tuple((size, second) for second, size in history))
    return limits_at(
        now=now, current=current, minimum=1, maximum=20, state=state, behavior=Behavior()
    ).stabilize(newest)


def _check_next(next_size: Callable[[float, int, int, History], object]) -> str | None:
    for now, current, newest, history in CASES:
        right = _really(now, current, newest, history)
        got = next_size(now, current, newest, history)
        if got == right:
            continue
        young = [size for second, size in history if now - second < WINDOW]
        if newest >= current:
            why = "this window does not delay scaling up"
        elif right == current:
            why = (
                f"a recommendation of {max(young)} is younger than 300 s; earlier ones never "
                "cause scaling up"
            )
        else:
            why = f"the highest recommendation younger than 300 s is {max([newest, *young])}"
        return (
            f"at {now} s with {current} pods, newest recommendation {newest}, history {history}: "
            f"should be {right}, got {got} ({why})"
        )
    return None


def _good_next(now: float, current: int, newest: int, history: History) -> int:
    if newest >= current:
        return newest
    young = [size for second, size in history if now - second < WINDOW]
    return min(current, max([newest, *young]))


def _cool_down(now: float, current: int, newest: int, history: History) -> int:
    """The misconception: 300 s pass between two scalings."""
    return newest if newest > current or now - history[-1][0] >= WINDOW else current


def _all_of_history(now: float, current: int, newest: int, history: History) -> int:
    """Never drops old recommendations."""
    return newest if newest >= current else max(newest, *(size for _, size in history))


# -- 7.2: the lunch break ------------------------------------------------------------------------

SETTINGS = ("target", "window", "up", "down", "tolerance")
MOST_UNMET, MOST_TURNS, MOST_MINUTES = 2.0, 4, 480


def _check_lunch(config: Document) -> str | None:
    if set(config) - set(SETTINGS):
        return f"answer with a dict with some of the keys {', '.join(SETTINGS)}"
    try:
        trial = tune(Tuning(load="lunch break"), **config)
    except KubeSimError as error:
        return f"that is refused: {error}"
    if trial.unmet_percent >= MOST_UNMET:
        return (
            f"{trial.unmet_percent:.1f} % of the requests are unmet, not less than {MOST_UNMET:g} "
            "%: there are too few pods when a wave arrives, or they are added too slowly"
        )
    if trial.turns > MOST_TURNS:
        return (
            f"it changes direction {trial.turns} times, but {MOST_TURNS} is the maximum: it removes "
            "pods in each pause and needs them again"
        )
    if trial.pod_minutes > MOST_MINUTES:
        return (
            f"it costs {trial.pod_minutes:.0f} pod minutes, but {MOST_MINUTES} is the maximum: no "
            "request waits, but too many pods are idle"
        )
    return None


# -- 7.3: a policy of one's own ------------------------------------------------------------------

FLASHES = Corners(
    (
        *((0, 30), (240, 30), (270, 150), (480, 150), (510, 30)),
        *((660, 30), (690, 190), (900, 190), (930, 30)),
    )
)
ARENA = {"lunch break": LOADS["lunch break"], "spike": LOADS["spike"]}
IN_THE_CHECK = {"news flashes": LoadProfile(FLASHES, 1200.0)}
SEEDS = range(2)


def duel(policy: object, loads: dict[str, LoadProfile]) -> dict[str, tuple[float, float]]:
    """Return the cost of a policy and of the built-in algorithm, for the same HPA and arrivals.

    Args:
        policy: its class.
        loads: by name.
    """
    usual = Tuning()
    results = {}
    for name, load in loads.items():
        result = compare(
            {"mine": usual.contender(policy), "built-in": usual.contender()},
            {name: load.model},
            seeds=SEEDS,
            duration=load.seconds,
            world=usual.world(),
        )
        costs = {
            policy_name: fmean(cost(run) for run in result.runs if run.policy == policy_name)
            for policy_name in ("mine", "built-in")
        }
        results[name] = (costs["mine"], costs["built-in"])
    return results


def _check_policy(policy: type) -> str | None:
    for name, (own_cost, builtin_cost) in duel(policy, ARENA | IN_THE_CHECK).items():
        if own_cost >= builtin_cost:
            note = " (the load that is only in the check)" if name in IN_THE_CHECK else ""
            return (
                f"on {name!r}{note} yours costs {own_cost:.0f}, the built-in one costs "
                f"{builtin_cost:.0f}: " + _advice(policy, name)
            )
    return None


def _advice(policy: object, name: str) -> str:
    """Return the largest part of the cost."""
    load = (ARENA | IN_THE_CHECK)[name]
    usual: Contender = Tuning().contender(policy)
    (run,) = compare(
        {"mine": usual}, {name: load.model}, duration=load.seconds, world=Tuning().world()
    ).runs
    scores = run.scores
    parts = {
        f"{scores.pod_seconds / 60:.0f} pod minutes": scores.pod_seconds / 60,
        f"{scores.unmet:.0f} unmet requests": scores.unmet / 20,
        f"{scores.slow_seconds:.0f} slow seconds": scores.slow_seconds / 10,
        f"{scores.flaps} flaps": 5.0 * scores.flaps,
    }
    return f"the largest part is {max(parts, key=lambda part: parts[part])}"


class Doubling:
    """The solution: double when pods are full, and keep the largest need for three minutes."""

    def __init__(self) -> None:
        self.needs: list[float] = []

    def recommend(self, observation: Observation) -> int:
        """Return the desired number of pods."""
        need = pods_needed(observation)
        if need > 1.15 * len(observation.pods):
            need = 2 * observation.current
        self.needs = [*self.needs[-11:], need]
        return ceil(max(self.needs))


class _AlwaysMaximum:
    def recommend(self, observation: Observation) -> int:
        return int(observation.maximum)


class _NewestNeed:
    def recommend(self, observation: Observation) -> int:
        return ceil(pods_needed(observation))


q1 = Task(
    "7.1",
    "the next size",
    _check_next,
    (
        "Scaling up first: if newest is not below current, return it at once.",
        "Scaling down: consider newest and all recommendations with now - second < 300; the "
        "highest of them counts.",
        "An earlier recommendation can only delay: min(current, max([newest, *young])).",
    ),
    """def next_size(now, current, newest, history):
    if newest >= current:
        return newest
    young = [size for second, size in history if now - second < 300]
    return min(current, max([newest, *young]))""",
    _good_next,
    (_cool_down, _all_of_history),
    a_function("next_size", "now", "current", "newest", "history"),
)

q2 = Task(
    "7.2",
    "the lunch break",
    _check_lunch,
    (
        "Unmet requests: a lower target leaves more room in each pod, and adds pods in larger "
        "steps. Turns: the pauses last about 240 s; which setting must be longer than that?",
        "Pod minutes: every 5 % of target cost 35 to 40 of them. Go no lower than necessary.",
        'With the window of 300 s try {"target": 70} and its neighbours.',
    ),
    '{"target": 65, "window": 300}',
    {"target": 65, "window": 300},
    ({"target": 80}, {"target": 65, "window": 0}, {"target": 40, "window": 300}),
    a_dict('{"target": ..., "window": ...}'),
)

bonus = Task(
    "7.3",
    "better than the built-in one (bonus)",
    with_errors(_check_policy, "recommend"),
    (
        "Keep the last needs in a list: the maximum over three minutes is a short window.",
        "A full pod reports at most 100 %, which is 1.25 times the target of 80 %. If the need "
        "is above 1.15 times the pods, they are full: return twice as many.",
        "need = pods_needed(observation); if need > 1.15 * len(observation.pods): "
        "need = 2 * observation.current; then the highest of the last twelve needs, rounded up.",
    ),
    """class Doubling:
    def __init__(self):
        self.needs = []

    def recommend(self, observation):
        from lessons.tuning.tune import pods_needed
        need = pods_needed(observation)
        if need > 1.15 * len(observation.pods):
            need = 2 * observation.current
        self.needs = [*self.needs[-11:], need]
        return ceil(max(self.needs))""",
    Doubling,
    (_AlwaysMaximum, _NewestNeed),
    a_class("Policy", "recommend", "observation"),
)

questions = (
    Question(
        "The HPA scaled up from 4 to 8 pods ten seconds ago, and now it recommends 12. The "
        "scale-down window is 300 s, the one for scaling up is 0 s. What happens?",
        {
            "a": (
                "it waits 290 s more",
                False,
                "that would be a cool-down, and this window is only for scaling down",
            ),
            "b": (
                "it scales up to 12, if the policies allow it",
                True,
                "only policies and maxReplicas limit scaling up",
            ),
            "c": (
                "it takes the mean, 10",
                False,
                "there is no average: the highest or the lowest counts",
            ),
        },
    ),
    Question(
        "Requests and limit are both 200m, the target is 95 %. The pods are overloaded. "
        "What does the HPA do?",
        {
            "a": (
                "nothing",
                True,
                "they report at most 100 %, and 100/95 = 1.05 is within the tolerance of 0.1",
            ),
            "b": ("it doubles the pods", False, "it only knows their CPU, which is at its limit"),
            "c": (
                "it adds pods until the queue is empty",
                False,
                "it does not know the queue without a custom metric",
            ),
        },
    ),
    Question(
        "New pods use much CPU for a minute while they warm up, and the HPA adds more and more. "
        "What helps best?",
        {
            "a": (
                "a lower target",
                False,
                "then the starting pods look even more overloaded",
            ),
            "b": (
                "a longer scale-down window",
                False,
                "it would keep the unnecessary pods even longer",
            ),
            "c": (
                "a readiness probe that fails until they are warm",
                True,
                "for scaling up, a pod that is not ready counts as using no CPU",
            ),
        },
    ),
)

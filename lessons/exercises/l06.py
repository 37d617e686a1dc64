"""Exercises of lesson 6: controllers and rollouts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from kubesim import Cluster
from kubesim.controllers.deployment.rolling import (
    ReplicaSetState,
    proportional_sizes,
    resolve_fenceposts,
)
from kubesim.errors import KubeSimError
from lessons.check import Question, Task
from lessons.feedback.answers import a_dict, a_function, a_list_of
from lessons.rollout.deployments import BAD_IMAGE, image_of, set_image, web
from lessons.rollout.still import RolloutStill, watch_rollout
from lessons.toy import Toy

Pods = Sequence[Mapping[str, str]]
Reconcile = Callable[[int, Pods], tuple[int, Sequence[str]]]
LOST = 0.3
SIZES = (5, 8, 3, 6)  # desired numbers of pods, one after the other

# -- 6.1: reconcile -----------------------------------------------------------------------------


def _pods(*phases: str) -> list[dict[str, str]]:
    return [{"name": f"toy-{n}", "phase": phase} for n, phase in enumerate(phases, 1)]


CASES: tuple[tuple[int, list[dict[str, str]], int, int, str], ...] = (
    (3, _pods(), 3, 0, "there are no pods yet"),
    (3, _pods("Running", "Running", "Running"), 0, 0, "everything is as desired"),
    (3, _pods("Pending", "Running"), 1, 0, "a Pending pod is starting, so it counts"),
    (2, _pods("Running", "Running", "Pending", "Running"), 0, 2, "two are too many"),
    (
        3,
        _pods("Failed", "Running", "Succeeded", "Running"),
        1,
        0,
        "a pod that has ended does not count",
    ),
)


def _check_reconcile(reconcile: Reconcile) -> str | None:
    return _check_cases(reconcile) or _check_in_a_cluster(reconcile)


def _check_cases(reconcile: Reconcile) -> str | None:
    for desired, pods, create, delete, why in CASES:
        phases = ", ".join(pod["phase"] for pod in pods) or "no pods"
        answers = [reconcile(desired, [dict(pod) for pod in pods]) for _ in range(2)]
        if not isinstance(answers[0], (tuple, list)) or len(answers[0]) != 2:
            return "return two values: the number of pods to create, and a list of names to delete"
        if answers[0] != answers[1]:
            return (
                f"desired {desired}, {phases}: the second call returns {answers[1]}, the first one "
                f"returned {answers[0]}; use only the pods, and remember nothing"
            )
        created, names = answers[0]
        deleted = [pod["name"] for pod in pods if pod["name"] in names and _alive(pod)]
        if (created, len(deleted)) != (create, delete):
            return (
                f"desired {desired}, {phases}: should create {create} and delete {delete}, "
                f"but creates {created} and deletes {len(deleted)} ({why})"
            )
    return None


def _alive(pod: Mapping[str, str]) -> bool:
    return pod["phase"] in ("Pending", "Running")


def _check_in_a_cluster(reconcile: Reconcile) -> str | None:
    """Delete pods, let some end by themselves, lose events, and deliver the others twice."""

    def react(_event: str, desired: int, pods: Pods) -> tuple[int, Sequence[str]]:
        return reconcile(desired, pods)

    with Cluster(nodes=2, seed=7, hpa=False) as cluster:
        toy = Toy(cluster, react, lost=LOST, twice=True)
        for desired in SIZES:
            toy.resize(desired)
            toy.run(90, fail=True)
            toy.run(40, kill=False)  # time to settle
            if len(toy.alive()) != desired:
                return (
                    f"with {LOST:.0%} of the events lost and the others delivered twice: "
                    f"{desired} pods are desired, but there are {len(toy.alive())}"
                )
    return None


def _good_reconcile(desired: int, pods: Pods) -> tuple[int, list[str]]:
    alive = [pod["name"] for pod in pods if pod["phase"] in ("Pending", "Running")]
    missing = desired - len(alive)
    return max(0, missing), alive[: max(0, -missing)]


class _Remembers:
    """Counts what it created instead of the pods."""

    def __init__(self) -> None:
        self.created = 0

    def __call__(self, desired: int, pods: Pods) -> tuple[int, list[str]]:
        missing = max(0, desired - self.created)
        self.created += missing
        return missing, []


def _never_deletes(desired: int, pods: Pods) -> tuple[int, list[str]]:
    return max(0, desired - len(pods)), []


def _counts_the_dead(desired: int, pods: Pods) -> tuple[int, list[str]]:
    missing = desired - len(pods)
    return max(0, missing), [pod["name"] for pod in pods[: max(0, -missing)]]


# -- 6.2: surge and unavailable -----------------------------------------------------------------

REPLICAS = 10
LEAST_READY = 9  # 90 % of 10
ROOM = 13  # pods for which the nodes have room
SECONDS = 60


def _check_bounds(bounds: Mapping[str, int | str]) -> str | None:
    if set(bounds) != {"maxSurge", "maxUnavailable"}:
        return 'give both: {"maxSurge": ..., "maxUnavailable": ...}'
    try:
        good = _rolled(bounds, image_of(2))
    except KubeSimError as error:
        return f"the API server refuses that: {error}"
    if good.fewest_ready < LEAST_READY:
        return (
            f"with a good image only {good.fewest_ready} pods were ready for a while, but "
            f"{LEAST_READY} of {REPLICAS} must be. Which of the two numbers allows that?"
        )
    if good.most_pods > ROOM:
        return f"there were {good.most_pods} pods at once, but there is room for {ROOM}"
    last = good.series.rows[-1]
    if last.new_ready < REPLICAS:
        return (
            f"after {SECONDS} s {last.new_ready} of {REPLICAS} new pods were ready: each round "
            "takes 11 s, so use fewer rounds"
        )
    bad = _rolled(bounds, BAD_IMAGE)
    if bad.fewest_ready < LEAST_READY:
        return f"the bad image left {bad.fewest_ready} pods ready, but {LEAST_READY} must be"
    return None


def _rolled(bounds: Mapping[str, int | str], image: str) -> RolloutStill:
    surge, unavailable = bounds["maxSurge"], bounds["maxUnavailable"]
    with Cluster(nodes=3, seed=7, hpa=False) as cluster:
        cluster.api.create(web(REPLICAS, surge=surge, unavailable=unavailable))
        cluster.sleep(30)
        set_image(cluster, image)
        return watch_rollout(cluster, SECONDS)


# -- 6.3: scaling in the middle of a rollout ----------------------------------------------------

STUCK = (8, 5)  # old and new pods of the stuck rollout
WIDER = 20


def _check_sizes(sizes: Sequence[int]) -> str | None:
    before = resolve_fenceposts(max_surge="25%", max_unavailable="25%", replicas=REPLICAS)
    after = resolve_fenceposts(max_surge="25%", max_unavailable="25%", replicas=WIDER)
    most = REPLICAS + before.surge
    states = [
        ReplicaSetState("old", STUCK[0], STUCK[0], created=0.0, max_replicas=most),
        ReplicaSetState("new", STUCK[1], 0, created=1.0, max_replicas=most),
    ]
    right = proportional_sizes(states, replicas=WIDER, surge=after.surge)
    expected = (right["old"], right["new"])
    answer = tuple(sizes)
    if answer == expected:
        return None
    room = WIDER + after.surge
    if sum(answer) != room:
        return (
            f"{answer[0]} + {answer[1]} = {sum(answer)}; together there can be {room}: "
            f"{WIDER} replicas and their surge"
        )
    if answer[1] == STUCK[1]:
        return "the new ReplicaSet grows, too: its pods may still become ready"
    if answer[0] == STUCK[0]:
        return "the old ReplicaSet grows, too: the new pods may never become ready"
    return f"each one keeps its share: {STUCK[0]} and {STUCK[1]} of {sum(STUCK)}, now of {room}"


q1 = Task(
    "6.1",
    "reconcile",
    _check_reconcile,
    (
        "Use the pods that you get; remember nothing between two calls.",
        'Count the pods whose phase is "Pending" or "Running": the others have ended.',
        "missing = desired - that count. Above 0: create that many. Below 0: delete that many.",
    ),
    """def reconcile(desired, pods):
    alive = [pod["name"] for pod in pods if pod["phase"] in ("Pending", "Running")]
    missing = desired - len(alive)
    return max(0, missing), alive[: max(0, -missing)]""",
    _good_reconcile,
    (_never_deletes, _counts_the_dead, _Remembers()),
    a_function("reconcile", "desired", "pods"),
)

q2 = Task(
    "6.2",
    "surge and unavailable",
    _check_bounds,
    (
        "maxUnavailable is how many ready pods may be missing: 90 % of 10 leaves 1.",
        "maxSurge is how many additional pods may exist: there is room for 13.",
        "A surge of 1 takes too many rounds. Use all the room.",
    ),
    '{"maxSurge": 3, "maxUnavailable": 1}',
    {"maxSurge": 3, "maxUnavailable": 1},
    (
        {"maxSurge": "25%", "maxUnavailable": "25%"},
        {"maxSurge": "100%", "maxUnavailable": 0},
        {"maxSurge": 1, "maxUnavailable": 0},
        {"maxSurge": 0, "maxUnavailable": 0},
    ),
    a_dict('{"maxSurge": ..., "maxUnavailable": ...}'),
)

bonus = Task(
    "6.3",
    "scaling in the middle of a rollout (bonus)",
    _check_sizes,
    (
        "How many pods can exist in total? 20, and the surge: 25 % of 20, rounded up.",
        "Each ReplicaSet keeps its share: 8/13 and 5/13 of them, rounded.",
    ),
    "[15, 10]",
    (15, 10),
    ((20, 5), (15, 5), (8, 17), (13, 12)),
    a_list_of(int, 2, "[8, 5]"),
)

questions = (
    Question(
        "A controller was down for an hour. What does it need to catch up?",
        {
            "a": (
                "the events of that hour",
                False,
                "they are lost, but the controller does not need them",
            ),
            "b": (
                "a list of the current objects",
                True,
                "the difference between desired and actual state is its work",
            ),
            "c": (
                "a backup of its memory",
                False,
                "it can read everything again from the API server",
            ),
        },
    ),
    Question(
        "You delete a pod of a Deployment. Which component creates the new one?",
        {
            "a": (
                "the Deployment controller",
                False,
                "it creates ReplicaSets and sets their sizes",
            ),
            "b": (
                "the kubelet of its node",
                False,
                "a kubelet runs pods, but does not create them",
            ),
            "c": (
                "the ReplicaSet controller",
                True,
                "it counts the pods of its ReplicaSet, and one was missing",
            ),
        },
    ),
    Question(
        "Why does a rollout of a bad image stop halfway by itself?",
        {
            "a": (
                "old pods are deleted only as new ones become ready",
                True,
                "none becomes ready, so maxUnavailable keeps the remaining old ones",
            ),
            "b": (
                "Kubernetes tests the image first",
                False,
                "it does not; the pods of the first round are the test",
            ),
            "c": (
                "the progress deadline ends it",
                False,
                "the deadline only sets a condition; it does not stop or undo anything",
            ),
        },
    ),
)

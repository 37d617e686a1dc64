"""Faults for scenarios of controllers: conflicts, lost watch events, restarts."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from kubesim import Cluster
from kubesim.apiserver import KubeAPI
from kubesim.client import Controller, Informer
from kubesim.errors import Conflict, Forbidden

C = TypeVar("C", bound=Controller)
VERBS = ("create", "update", "update_status", "patch", "delete")


class Flaky:
    """Makes a share of all writes fail with a Conflict, seeded, until it is switched off.

    Args:
        api: whose writes fail.
        share: how many of them, 0 to 1; as an attribute it can be changed.
        seed: of the choice.
        verbs: the methods that write.
        when: only while this holds.
    """

    def __init__(
        self,
        api: KubeAPI,
        share: float,
        seed: int,
        *,
        verbs: Sequence[str] = VERBS,
        when: Callable[[], bool] = lambda: True,
    ) -> None:
        rng = random.Random(seed)
        self.raised = 0
        self.share = share
        self._when = when
        for verb in verbs:
            setattr(api, verb, self._wrap(getattr(api, verb), rng))

    def _wrap(self, verb: Any, rng: random.Random) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            if rng.random() < self.share and self._when():
                self.raised += 1
                raise Conflict("injected")
            return verb(*args, **options)

        return call


def controller_of(cluster: Cluster, kind: type[C]) -> C:
    """The controller of that class in a cluster."""
    return next(result for result in cluster.controllers if isinstance(result, kind))


def replace_controller(cluster: Cluster, kind: type[C], **options: Any) -> C:
    """Stop a controller and start a fresh one on the same store."""
    old = controller_of(cluster, kind)
    old.stop()
    fresh = kind(cluster.tools, **options)
    cluster.controllers[cluster.controllers.index(old)] = fresh
    fresh.start()
    return fresh


def lose_watch_events(controller: Controller) -> None:
    """Lose the watch events that are not delivered yet; only a resync repairs that."""
    for informer in controller._informers:
        _drop(informer)


def _drop(informer: Informer) -> None:
    if informer._watch is not None:
        while informer._watch.poll():
            continue


@contextmanager
def pods_refused(cluster: Cluster, message: str) -> Iterator[None]:
    """Refuse every creation of a pod as Forbidden, with this message."""
    create = cluster.api.create

    def refuse(document: Any, **options: Any) -> Any:
        if document["kind"] == "Pod":
            raise Forbidden(message, hint="ours")
        return create(document, **options)

    cluster.api.create = refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        cluster.api.create = create  # type: ignore[method-assign]


def go_deaf(controller: Controller, kind: str = "") -> None:
    """Its watches (of that kind alone, if one is named) bring nothing more until the next list."""
    for informer in controller._informers:
        if informer._watch is not None and kind in ("", informer.statistics()["kind"]):
            informer._watch.close()
            informer._watch = None


def events_of(cluster: Cluster, kind: str, reason: str) -> list[str]:
    """Messages of the events of a reason about objects of a kind."""
    return [
        event["message"]
        for event in cluster.api.list("Event")["items"]
        if event["reason"] == reason and event["involvedObject"]["kind"] == kind
    ]

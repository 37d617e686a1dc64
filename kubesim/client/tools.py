"""Tools: what the cluster hands to each of its components.

A component is given everything that it uses: the API server, the clock, the streams of random
numbers, the log of actions and the log of decisions. It finds nothing by itself, so that a test can
build a component around its own parts.

>>> from kubesim import Cluster
>>> with Cluster(nodes=1) as cluster:
...     cluster.tools.clock is cluster.clock
True

Real counterpart: `ControllerContext` of cmd/kube-controller-manager/app/controllermanager.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypedDict

from kubesim.analytics import Analytics
from kubesim.apiserver import KubeAPI
from kubesim.client.decisions import DecisionLog
from kubesim.clock.base import Clock, Streams
from kubesim.objects.frozen import Document


class Component(Protocol):
    """A part of the cluster that runs: a kubelet, a scheduler, a controller ..."""

    def start(self) -> None:
        """Begin to watch."""

    def stop(self) -> None:
        """Stop watching; may be called twice."""

    def statistics(self) -> Document:
        """Return counts for tests and tables."""


class ToolOptions(TypedDict):
    """The tools other than the API server, as keyword arguments of `Scheduler` and others."""

    clock: Clock
    streams: Streams
    analytics: Analytics
    decisions: DecisionLog


@dataclass(frozen=True, slots=True)
class Tools:
    """The parts of a cluster that all components share.

    Attributes:
        api: the API server.
        clock: simulated time; it makes the workers (on the live clock: threads).
        streams: random numbers, one stream for each name.
        analytics: the log of actions.
        decisions: the log of decisions, which `explain` reads.
    """

    api: KubeAPI
    clock: Clock
    streams: Streams
    analytics: Analytics
    decisions: DecisionLog

    def options(self) -> ToolOptions:
        """Return all tools but the API server, as keyword arguments."""
        return {
            "clock": self.clock,
            "streams": self.streams,
            "analytics": self.analytics,
            "decisions": self.decisions,
        }

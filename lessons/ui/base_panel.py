"""What every live panel has: a cluster of its own, a transport bar, a thread that looks and paints.

A panel says what stands where and what it shows; this says how time runs, what happens when a cell
is run again, when nobody looks, when something is refused or fails. One thread for each panel looks
a few times a second, and is the only one that touches Bokeh models. The simulation knows nothing of
it.

    boot()      a fresh cluster was made: keep what is needed of it
    controls()  the widgets, built once, between the transport bar and the charts
    take_in()   one look at the cluster
    show()      paint what was seen; charts are painted only where there is a page

No counterpart in Kubernetes; the nearest is a Grafana dashboard beside `kubectl edit`.
"""

from __future__ import annotations

import threading
import time
from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, Protocol

import ipywidgets as W

from kubesim import Cluster
from kubesim.errors import BadRequest, KubeSimError
from lessons import session
from lessons.ui import open_panels as panels
from lessons.ui.css import STYLE
from lessons.ui.live import Live
from lessons.ui.transport import STEP_SECONDS, Transport, nearest

HZ = 5.0  # repaints a second
LOOKS = 4  # looks at the cluster between two repaints
SLICE_SECONDS = 1.0  # on virtual time: simulated time between two looks
REST_SECONDS = 10.0  # when nobody has looked for so long, time stands still
ROW = {"display": "flex", "flex_flow": "row wrap", "width": "100%"}  # of a box


class Figures(Protocol):
    """The figures behind the charts."""

    @property
    def rows(self) -> Sequence[Any]:
        """The state over time, oldest first; each row has its `time`."""

    def pull(self) -> bool:
        """Take in what is new."""

    def run(self, seconds: float, sleep: Callable[[float], None], slice_seconds: float) -> None:
        """Let time pass in slices and look after each."""


class _Abstract(ABCMeta, type(W.VBox)):  # type: ignore[misc]
    """A widget whose missing parts are named when it is made, not when they are called."""


class Flight(W.VBox, metaclass=_Abstract):  # type: ignore[misc]
    """A panel that flies a cluster.

    Args:
        clock: "live" (pods are threads, time runs by itself) or "virtual" (Run only paces it).
        speed: simulated seconds per second.
        name: a panel of the same name is closed first, so a cell may be run again.
        running: begin to run at once.
        options: for `kubesim.Cluster`.

    Attributes:
        cluster: what it shows; Reset makes another one.
        series: the figures behind the charts, set by `boot`.
        charts: their drawing, set by `controls`; has `layout` and `draw(series)`.

    Raises:
        BadRequest: there is no such clock.
    """

    _open = False
    series: Any
    charts: Any

    def __init__(
        self, clock: str, *, speed: float, name: str, running: bool, options: Mapping[str, Any]
    ) -> None:
        if clock not in ("live", "virtual"):
            raise BadRequest(f"there is no clock {clock!r}", hint='say "live" or "virtual"')
        panels.close(name)
        self._name = name
        self._options = dict(options)
        self._lock = threading.RLock()  # guards the swap of the cluster by Reset
        self._stop = threading.Event()
        self._running = threading.Event()
        self._resting = False
        self._last_seen = time.monotonic()
        self._refusal = self._trouble = ""
        self._fresh(clock, nearest(speed))
        self._error = W.HTML()
        middle = self.controls()
        self.live = Live(self.charts.layout)
        self.transport = Transport(self, clock, speed)
        self.live.layout = W.Layout(flex="5 1 540px", min_width="0")
        super().__init__([W.HTML(STYLE), self.transport.box, *middle, self._error, *self.below()])
        self.add_class("ks-cockpit")
        panels.opened(name, self)
        self.run() if running else self.pause()
        self._thread = threading.Thread(target=self._loop, name=f"cockpit-{name}", daemon=True)
        self._open = True
        self._thread.start()

    def _fresh(self, clock: str, speed: float) -> None:
        """Another cluster, standing still until the panel stands."""
        slot = f"cockpit/{self._name}"
        self.cluster: Cluster = session.fresh_cluster(
            slot=slot, clock=clock, speed=speed, **self._options
        )
        self.cluster.clock.pause()
        self._shown = -1.0  # simulated second that is on the screen
        try:
            self.boot()
            self.series.pull()  # the beginning, before any time has passed
        except KubeSimError:  # nothing to fly
            session.close_slot(slot)
            raise

    # -- what a panel says of itself ------------------------------------------------------------

    @abstractmethod
    def boot(self) -> None:
        """A fresh cluster was made: keep what is needed of it, and set `series`."""

    @abstractmethod
    def controls(self) -> list[Any]:
        """Build the widgets and `charts`; returns what stands below the transport bar."""

    @abstractmethod
    def below(self) -> list[Any]:
        """What stands below the strip for errors; `live` is built by then."""

    def take_in(self) -> None:
        """One more look at the cluster, after `series` has pulled."""

    def follow(self, patience: float | None = None) -> None:
        """Let the controls follow the store; patience 0: at once."""

    def show(self) -> None:
        """Say in words what was seen; called when simulated time has passed."""

    def forget(self) -> None:
        """There is another cluster: texts and controls go back to their beginning."""

    def complaint(self) -> str:
        """What a component complained of; "" if nothing."""
        return ""

    # -- what the buttons do --------------------------------------------------------------------

    def run(self) -> None:
        """Let time run."""
        self._running.set()
        self.cluster.clock.resume()

    def pause(self) -> None:
        """Let time stand still."""
        self._running.clear()
        self.cluster.clock.pause()

    @property
    def running(self) -> bool:
        """Time runs."""
        return self._running.is_set()

    @property
    def clock(self) -> str:
        """ "live" or "virtual"."""
        return "virtual" if self.cluster.clock.virtual else "live"

    def choose_clock(self, clock: str) -> None:
        """Begin again on the other clock; nothing happens if it is this one."""
        if clock != self.clock:
            self.reset(clock)

    def step(self, seconds: float = STEP_SECONDS) -> None:
        """Let some simulated seconds pass, then stand still."""
        self._running.clear()
        clock = self.cluster.clock
        if clock.virtual:
            with self._lock:
                self.attempt(lambda: self.series.run(seconds, clock.step, SLICE_SECONDS))
        else:
            self.attempt(lambda: clock.step(seconds))

    def set_speed(self, speed: float) -> None:
        """Simulated seconds per second."""
        self.attempt(lambda: setattr(self.cluster.clock, "speed", speed))

    def reset(self, clock: str | None = None) -> None:
        """Begin again with a fresh cluster of the same seed, on this clock or the other."""
        with self._lock:
            chosen = clock or self.clock
            was_running = self.running
            self._running.clear()
            self._fresh(chosen, self.transport.chosen_speed)
            self._refusal = self._trouble = ""
            self.forget()
            self.transport.clock.value = chosen
            self.run() if was_running else self.pause()

    def close(self) -> None:
        """End the thread and the cluster; may be called twice."""
        if not self._open:
            return
        self._open = False
        self._stop.set()
        if self._thread is not threading.current_thread():
            self._thread.join(5.0)
        panels.forget(self._name, self)
        session.close_slot(f"cockpit/{self._name}")
        self.live.close()
        super().close()

    # -- what it says ---------------------------------------------------------------------------

    @property
    def error(self) -> str:
        """What the red strip says; "" if nothing."""
        said = (self._refusal, self._trouble, self.complaint())
        return "; ".join(text for text in said if text)

    @abstractmethod
    def svg(self) -> str:
        """A still picture, for pages where widgets cannot live."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r}, {self.clock} clock)"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        data["text/plain"] = f"{self!r}: run this cell, and the panel appears here"
        data["image/svg+xml"] = self.svg()
        return bundle

    # -- the thread -----------------------------------------------------------------------------

    def _loop(self) -> None:
        looks = 0
        while not self._stop.wait(1 / HZ / LOOKS):
            looks += 1
            try:
                self.look()
                if looks % LOOKS == 0:
                    self.paint()
            except KubeSimError as error:  # a component failed, or somebody closed the cluster
                self._trouble = str(error)
            except Exception as error:  # noqa: BLE001 - the panel says it and goes on
                self._trouble = f"{type(error).__name__}: {error}"
            self._paint_error()

    def look(self) -> None:
        """One look at the cluster; on the virtual clock, Run also lets time pass here."""
        with self._lock:
            cluster = self.cluster
            if cluster.clock.virtual and self.running and self._attend():
                self.series.run(cluster.clock.speed / HZ / LOOKS, cluster.sleep, SLICE_SECONDS)
            self.series.pull()
            self.take_in()
            if cluster.failures:
                self._trouble = str(cluster.failures[-1])

    def paint(self) -> None:
        """Show what was seen; charts only where there is a page, and while somebody looks."""
        with self._lock:
            watched = self._attend()
            state = "running" if self.running else "paused"
            if self._resting:
                state = "resting: nobody looks"
            self.transport.show(self.cluster.clock.now(), state)
            self.follow()
            seen = self.series.rows[-1].time
            if seen != self._shown:
                self._shown = seen
                self.show()
                if self.live.ready.is_set() and watched:
                    self.charts.draw(self.series)
        self.live.realign_now_and_then()

    def _attend(self) -> bool:
        """Somebody looks, or there is no page (a test). If nobody does for long, time rests."""
        if self.live.seen or not self.live.ready.is_set():
            self._last_seen = time.monotonic()
        rest = time.monotonic() - self._last_seen > REST_SECONDS
        if rest != self._resting:
            self._resting = rest
            if rest:
                self.cluster.clock.pause()
            elif self.running:
                self.cluster.clock.resume()
        return not rest

    def attempt(self, action: Callable[[], Any]) -> None:
        """Do what the learner asked for; a refusal is shown in words and changes nothing."""
        try:
            action()
        except KubeSimError as error:
            self._refusal = str(error)
        else:
            self._refusal = ""
        self._paint_error()

    def _paint_error(self) -> None:
        said = self.error
        self._error.value = (
            f"<div role='alert' class='ks-error'><b>Error:</b> {escape(said)}</div>" if said else ""
        )

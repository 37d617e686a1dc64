"""The base class of the live panels: its own cluster, a transport bar, and an update thread.

A subclass defines the layout and the contents. This class runs the clock, replaces the panel when
its cell runs again, rests while nobody looks, and reports refusals and failures. Each panel has one
thread, which polls the cluster several times a second and is the only thread that changes
Bokeh models. The simulation does not depend on it.

    boot()        read what is needed from a new cluster
    controls()    build the charts and the cards, once
    below()       arrange charts, cards and texts
    poll()        read one update from the cluster
    draw()        redraw the charts
    render()      update the texts
    reset_view()  clear the texts after Reset
    last_error()  the newest error that a component reported

Kubernetes has no counterpart; the nearest is a Grafana dashboard next to `kubectl edit`.
"""

from __future__ import annotations

import threading
from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets as W
from bokeh.models import LayoutDOM

from kubesim import Cluster, arguments
from kubesim.arguments import Check, check_arguments
from kubesim.errors import BadRequest, KubeSimError
from lessons import clusters
from lessons.ui import open_panels as panels
from lessons.ui.css import STYLE
from lessons.ui.html import error_html
from lessons.ui.live import Live
from lessons.ui.rest import Rest
from lessons.ui.series import SeriesSource, run_in_slices
from lessons.ui.still_output import HOW_TO_SHOW, display_panel, with_picture
from lessons.ui.transport import STEP_SECONDS, Transport, nearest
from lessons.ui.widgets import close_with_parts

ARGUMENTS: Mapping[str, Check] = {
    "speed": arguments.number(above=True),
    "name": arguments.instance_of(str, "a string"),
    "running": arguments.flag,
}
HZ = 5.0  # repaints a second
POLLS = 4  # updates from the cluster between two repaints
SLICE_SECONDS = 1.0  # virtual clock: simulated time between two updates


class _Abstract(ABCMeta, type(W.VBox)):  # type: ignore[misc]
    """The metaclass of a widget with abstract methods."""


class Panel(W.VBox, metaclass=_Abstract):  # type: ignore[misc]
    """A panel that runs and shows one cluster.

    Args:
        clock: "live" (pods are threads, time passes by itself) or "virtual" (Run advances it).
        speed: simulated seconds per second.
        name: an open panel of the same name is closed first, so a cell can run again.
        running: start running at once.
        options: options of `kubesim.Cluster`.

    Attributes:
        cluster: the cluster that the panel shows; Reset replaces it.
        live: the widget that shows the charts.

    Raises:
        BadRequest: the clock is neither "live" nor "virtual", or an argument is of another type.
    """

    _open = False

    def __init__(
        self, clock: str, *, speed: float, name: str, running: bool, options: Mapping[str, Any]
    ) -> None:
        if clock not in ("live", "virtual"):
            raise BadRequest(f"unknown clock {clock!r}", hint='use "live" or "virtual"')
        check_arguments(ARGUMENTS, {"speed": speed, "name": name, "running": running})
        panels.close(name)
        self._name = name
        self._options = dict(options)
        self._lock = threading.RLock()  # guards the swap of the cluster by Reset
        self._stop = threading.Event()
        self._running = threading.Event()
        self._rest = Rest()
        self._refusal = self._trouble = ""
        self._fresh(clock, nearest(speed))
        self._error = W.HTML()
        self.live = Live(self.controls())
        self.live.on_seen(self._rest.touch)
        self.transport = Transport(self, clock, speed)
        self.live.layout = W.Layout(width="100%", min_width="0")
        super().__init__([W.HTML(STYLE), self.transport.box, self._error, *self.below()])
        self.add_class("ks-cockpit")
        panels.add(name, self)
        self.run() if running else self.pause()
        self._thread = threading.Thread(target=self._loop, name=f"cockpit-{name}", daemon=True)
        self._open = True
        self._thread.start()

    def _fresh(self, clock: str, speed: float) -> None:
        """Replace the cluster by a new, paused one."""
        slot = f"cockpit/{self._name}"
        self.cluster: Cluster = clusters.fresh_cluster(
            slot=slot, clock=clock, speed=speed, **self._options
        )
        self.cluster.clock.pause()
        self.render_again()
        try:
            self._source = self.boot()
            self._source.pull()  # the state before any time has passed
        except KubeSimError:  # there is nothing to show
            clusters.close_slot(slot)
            raise

    # -- what a subclass defines ----------------------------------------------------------------

    @abstractmethod
    def boot(self) -> SeriesSource:
        """Read what is needed from the new cluster; return the values behind the charts."""

    @abstractmethod
    def controls(self) -> LayoutDOM:
        """Build the widgets and the charts; return the Bokeh layout of the charts."""

    @abstractmethod
    def below(self) -> list[W.Widget]:
        """Return the widgets below the error strip; `live` exists by then."""

    @abstractmethod
    def draw(self) -> None:
        """Redraw the charts."""

    def poll(self) -> None:
        """Read one update from the cluster; called after `series.pull()`."""

    def sync_controls(self, patience: float | None = None) -> None:
        """Set the controls to what the store has.

        Args:
            patience: seconds for which a control that was just touched is left alone; None: the
                default, 0: sync at once.
        """

    def render(self) -> None:
        """Update the texts; called when simulated time has passed."""

    def reset_view(self) -> None:
        """Set texts and controls back to their initial state, for a new cluster."""

    def last_error(self) -> str:
        """Return the newest error that a component reported; "" if there is none."""
        return ""

    # -- the actions of the transport bar -------------------------------------------------------

    def run(self) -> None:
        """Let time run."""
        self._rest.touch()
        self._running.set()
        self.cluster.clock.resume()

    def pause(self) -> None:
        """Pause the clock."""
        self._running.clear()
        self.cluster.clock.pause()

    @property
    def running(self) -> bool:
        """Whether time passes."""
        return self._running.is_set()

    @property
    def clock(self) -> str:
        """The clock: "live" or "virtual"."""
        return "virtual" if self.cluster.clock.virtual else "live"

    def choose_clock(self, clock: str) -> None:
        """Start over on this clock; do nothing if it is the current one."""
        if clock != self.clock:
            self.reset(clock)

    def step(self, seconds: float = STEP_SECONDS) -> None:
        """Advance by some simulated seconds, then pause."""
        self._rest.touch()
        self._running.clear()
        clock = self.cluster.clock
        if clock.virtual:
            with self._lock:
                self.attempt(lambda: self._advance(seconds, clock.step))
        else:
            self.attempt(lambda: clock.step(seconds))

    def set_speed(self, speed: float) -> None:
        """Set the simulated seconds per second."""
        self.attempt(lambda: setattr(self.cluster.clock, "speed", speed))

    def set_hall(self, on: bool) -> None:
        """Enlarge texts and lines, to be read from the back of a hall."""
        (self.add_class if on else self.remove_class)("ks-hall")
        self.render_again()

    def render_again(self) -> None:
        """Render with the next update, even if no time has passed."""
        self._shown = (-1.0, False)

    def reset(self, clock: str | None = None) -> None:
        """Start over with a new cluster of the same seed; None: on the current clock."""
        self._rest.touch()
        with self._lock:
            chosen = clock or self.clock
            was_running = self.running
            self._running.clear()
            self._fresh(chosen, self.transport.chosen_speed)
            self._refusal = self._trouble = ""
            self.reset_view()
            self.transport.clock.value = chosen
            self.run() if was_running else self.pause()

    def close(self) -> None:
        """Stop the thread and close the cluster; may be called twice."""
        if not self._open:
            return
        self._open = False
        self._stop.set()
        self._rest.touch()
        if self._thread is not threading.current_thread():
            self._thread.join(5.0)
        panels.remove(self._name, self)
        clusters.close_slot(f"cockpit/{self._name}")
        close_with_parts(self)

    # -- texts and pictures ---------------------------------------------------------------------

    @property
    def error(self) -> str:
        """The text of the error strip; "" if there is no error."""
        messages = (self._refusal, self._trouble, self.last_error())
        return "; ".join(message for message in messages if message)

    @abstractmethod
    def svg(self) -> str:
        """Return a still picture, for pages that cannot show widgets."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._name!r}, {self.clock} clock)"

    def _repr_mimebundle_(self, **options: object) -> object:
        text = f"{self!r}: {HOW_TO_SHOW}"
        return with_picture(super()._repr_mimebundle_(**options), text, self.svg())

    def _ipython_display_(self, **options: object) -> None:
        display_panel(self._repr_mimebundle_(**options), self.svg())

    # -- the thread -----------------------------------------------------------------------------

    def _loop(self) -> None:
        polls = 0
        while not self._stop.wait(1 / HZ / POLLS):
            polls += 1
            try:
                self.update()
                if self._rest.resting or polls % POLLS == 0:
                    self.repaint()
            except KubeSimError as error:  # a component failed, or the cluster was closed
                self._trouble = str(error)
            except Exception as error:  # noqa: BLE001 - the panel reports it and continues
                self._trouble = f"{type(error).__name__}: {error}"
            self._render_error()
            if self._rest.resting:
                self._rest.wait()

    def update(self) -> None:
        """Read what is new; on the virtual clock, Run also advances the time here."""
        with self._lock:
            self._rest_or_wake()
            cluster = self.cluster
            if cluster.clock.virtual and self.running and not self._rest.resting:
                self._advance(cluster.clock.speed / HZ / POLLS, cluster.sleep)
            self._source.pull()
            self.poll()
            if cluster.failures:
                self._trouble = str(cluster.failures[-1])

    def _advance(self, seconds: float, sleep: Callable[[float], None]) -> None:
        """Let virtual time pass, and read what is new after each slice."""
        run_in_slices(self._source, seconds, sleep, SLICE_SECONDS)

    def repaint(self) -> None:
        """Show the current state; redraw the charts if a page shows them."""
        with self._lock:
            self.transport.render(self.cluster.clock.now(), self._rest.state(self.running))
            self.sync_controls()
            current = (self._source.rows[-1].time, self.live.ready.is_set())
            if current != self._shown:
                self._shown = current
                self.render()
                if self.live.ready.is_set():
                    self.draw()
        self.live.flush()

    def _rest_or_wake(self) -> None:
        """Stop the clock when nobody has looked for a while; start it when somebody is back."""
        if not self._rest.check():
            return
        if self._rest.resting:
            self.cluster.clock.pause()
        elif self.running:
            self.cluster.clock.resume()

    def attempt(self, action: Callable[[], object]) -> None:
        """Run an action of the user; show a refusal in the error strip."""
        try:
            action()
        except KubeSimError as error:
            self._refusal = str(error)
        else:
            self._refusal = ""
        self._render_error()

    def _render_error(self) -> None:
        self._error.value = error_html(self.error)

"""The cockpit: one panel to run, change and watch a cluster.

    transport     Run, Pause, Step, speed, the clock; Reset stands apart
    autoscaler    target, min, max, interval: what you wish, and what the store says
    traffic       requests per second, and presets
    charts        CPU of each pod against the target; number of pods; requests served and not
    beside them   why the autoscaler decided as it did, the pods, what happened

Sliders write through the API server; everything shown is read back from it, so wish and reality are
seen apart. One thread for each cockpit looks a few times a second, and is the only one that touches
Bokeh models. The simulation knows nothing of it.

    Cockpit()                       pods are threads, twenty simulated seconds a second
    Cockpit("virtual", speed=50)    the same panel without a thread; Run paces it
    Cockpit(policy=Mine())          further options are those of `kubesim.Cluster`

No counterpart in Kubernetes; the nearest is a Grafana dashboard beside `kubectl edit hpa`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from html import escape
from typing import Any

import ipywidgets as W

from kubesim import Cluster, Table
from kubesim.autopod import NAME
from kubesim.errors import BadRequest, KubeSimError
from kubesim.rest import hpaconfig
from kubesim.traffic import Constant
from lessons import panels, session, still, tables
from lessons.charts import WorkloadCharts
from lessons.controls import HpaControls, TrafficControls, preset_model
from lessons.live import Live
from lessons.look import STYLE
from lessons.series import Series
from lessons.transport import STEP_SECONDS, Transport, nearest
from lessons.words import Words

HZ = 5.0  # repaints a second
LOOKS = 4  # looks at the cluster between two repaints
SPEED = 20.0  # simulated seconds per second
TRAFFIC = 30.0  # requests per second to begin with
SLICE_SECONDS = 1.0  # on virtual time: simulated time between two looks
REST_SECONDS = 10.0  # when nobody has looked for so long, time stands still
PREVIEW_SECONDS = 300.0


class Cockpit(W.VBox):  # type: ignore[misc]
    """The panel.

    Args:
        clock: "live" (pods are threads, time runs by itself) or "virtual" (Run only paces it).
        speed: simulated seconds per second.
        traffic: requests per second to begin with; None: pods use CPU at random.
        seed: of the cluster.
        name: a cockpit of the same name is closed first, so a cell may be run again.
        running: begin to run at once.
        options: further ones for `kubesim.Cluster`.

    Attributes:
        cluster: what it shows; Reset makes another one.
        series: the figures behind the charts.

    Raises:
        BadRequest: there is no such clock.
        NotFound: the options leave the autoscaler out.
    """

    _open = False

    def __init__(
        self,
        clock: str = "live",
        *,
        speed: float = SPEED,
        traffic: float | None = TRAFFIC,
        seed: int = session.LESSON_SEED,
        name: str = "main",
        running: bool = True,
        **options: Any,
    ) -> None:
        if clock not in ("live", "virtual"):
            raise BadRequest(f"there is no clock {clock!r}", hint='say "live" or "virtual"')
        panels.close(name)
        self._name = name
        self._options = {"nodes": 3, "seed": seed, **options}
        self._traffic = traffic
        self._lock = threading.RLock()  # guards the swap of the cluster by Reset
        self._stop = threading.Event()
        self._running = threading.Event()
        self._resting = False
        self._last_seen = time.monotonic()
        self._refusal = self._trouble = ""
        self._boot(clock, nearest(speed))
        self.charts = WorkloadCharts()
        self.live = Live(self.charts.layout)
        self.transport = Transport(self, clock, speed)
        self.hpa = HpaControls(self.cluster.hpa_config(), self.set_hpa)
        self.traffic = TrafficControls(traffic, self._route)
        self.words = Words()
        self._error = W.HTML()
        super().__init__(self._arrange())
        self.add_class("ks-cockpit")
        panels.opened(name, self)
        self.run() if running else self.pause()
        self._thread = threading.Thread(target=self._loop, name=f"cockpit-{name}", daemon=True)
        self._open = True
        self._thread.start()

    def _arrange(self) -> list[Any]:
        """What stands where."""
        row = {"display": "flex", "flex_flow": "row wrap", "width": "100%"}
        self.hpa.box.layout = W.Layout(flex="3 1 480px", min_width="0")
        self.traffic.box.layout = W.Layout(flex="2 1 320px", min_width="0")
        for card in (self.hpa.box, self.traffic.box):
            card.add_class("ks-card")
        wishes = W.Box(
            [self.hpa.box, self.traffic.box],
            layout=W.Layout(grid_gap="10px", margin="6px 0", **row),
        )
        self.live.layout = W.Layout(flex="5 1 540px", min_width="0")
        picture = W.Box([self.live, self.words.box], layout=W.Layout(**row))
        return [W.HTML(STYLE), self.transport.box, wishes, self._error, picture, self.words.details]

    def _boot(self, clock: str, speed: float) -> None:
        """A fresh cluster, with the traffic of the beginning."""
        slot = f"cockpit/{self._name}"
        self.cluster: Cluster = session.fresh_cluster(
            slot=slot, clock=clock, speed=speed, **self._options
        )
        self.cluster.clock.pause()  # until the panel stands
        self.series = Series(self.cluster)
        self._hpa_watch = self.cluster.api.watch(hpaconfig.KIND, resource_version="0")
        try:
            self._config = self.cluster.hpa_config()
        except KubeSimError:  # no autoscaler, nothing to fly
            session.close_slot(slot)
            raise
        self._shown = -1.0  # simulated second that is on the screen
        if self._traffic is not None:
            self.cluster.set_traffic(self._traffic)

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
                self._try(lambda: self.series.run(seconds, clock.step, SLICE_SECONDS))
        else:
            self._try(lambda: clock.step(seconds))

    def set_speed(self, speed: float) -> None:
        """Simulated seconds per second."""
        self._try(lambda: setattr(self.cluster.clock, "speed", speed))

    def reset(self, clock: str | None = None) -> None:
        """Begin again with a fresh cluster of the same seed, on this clock or the other."""
        with self._lock:
            chosen = clock or self.clock
            was_running = self.running
            self._running.clear()
            self._boot(chosen, self.transport.chosen_speed)
            self._refusal = self._trouble = ""
            self.words.forget()
            self.hpa.follow(self._config, patience=0.0)
            self.traffic.show(self._traffic)
            self.transport.clock.value = chosen
            self.run() if was_running else self.pause()

    def set_hpa(self, **changes: Any) -> None:
        """Write the autoscaler's configuration; a refusal is shown, and nothing is changed."""
        self._try(lambda: self.cluster.set_hpa_config(**changes))

    def set_traffic(self, rate: float | None) -> None:
        """Requests per second to the workload; None: none, pods use CPU at random."""
        self.traffic.show(rate)
        self._route("off" if rate is None else float(rate))

    def set_preset(self, preset: str) -> None:
        """One of the traffic presets: ``off``, ``steady``, ``spike``, ``waves``, ``ramp``."""
        self.traffic.preset.value = preset

    def _route(self, wish: float | str) -> None:
        """What the traffic controls ask for: a rate, or a preset by its name."""
        if isinstance(wish, str):
            model = preset_model(wish, self.cluster.clock.now())
        else:
            model = Constant(wish)
        self._try(lambda: self.cluster.set_traffic(model))

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
        complaint = self.words.complaint(self.cluster.clock.now())
        return "; ".join(text for text in (self._refusal, self._trouble, complaint) if text)

    def table(self, which: str = "pods", last: int = 12) -> Table:
        """The rows behind one chart as text: ``cpu``, ``pods``, ``traffic`` or ``decisions``."""
        return tables.of(self.series, which, last)

    def svg(self) -> str:
        """A still picture, for pages where widgets cannot live.

        On the virtual clock: what happened so far. A live run differs each time, so it shows what
        the same cluster does in its first five minutes on the virtual clock.
        """
        if self.cluster.clock.virtual:
            return still.svg(self.series, f"{self!r}: what happened so far")
        with Cluster(**self._options) as cluster:
            if self._traffic is not None:
                cluster.set_traffic(self._traffic)
            run = still.record(cluster, PREVIEW_SECONDS)
        return still.svg(run.series, f"{self!r}: the first five minutes (run the cell to fly it)")

    def __repr__(self) -> str:
        return f"Cockpit({self._name!r}, {self.clock} clock)"

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
            for event in self._hpa_watch.poll():
                if event.type != "DELETED" and event.object["metadata"]["name"] == NAME:
                    self._config = hpaconfig.config_of(event.object)
            if cluster.failures:
                self._trouble = str(cluster.failures[-1])

    def paint(self) -> None:
        """Show what was seen; charts only where there is a page, and while somebody looks."""
        with self._lock:
            watched = self._attend()
            self._paint_controls()
            seen = self.series.rows[-1].time
            if seen != self._shown:
                self._shown = seen
                row = self.series.rows[-1]
                routed = NAME in self.cluster.traffic.routes()
                self.traffic.show_traffic(routed, row.offered, row.served)
                self.words.paint(self.cluster, self.series)
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

    def _paint_controls(self) -> None:
        state = "running" if self.running else "paused"
        if self._resting:
            state = "resting: nobody looks"
        self.transport.show(self.cluster.clock.now(), state)
        self.hpa.follow(self._config)

    def _try(self, action: Callable[[], Any]) -> None:
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

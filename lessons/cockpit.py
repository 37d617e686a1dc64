"""The cockpit: one panel to run, change and watch a cluster.

    transport     Run/Pause, Step, speed, the clock; Reset stands apart
    autoscaler    target, min, max, interval: what you wish, and what the store says
    traffic       requests per second, and presets
    charts        CPU of each pod against the target; number of pods, decisions marked
    tables        pods, what just happened, why the autoscaler decided as it did

Sliders write through the API server; everything shown is read back from it, so wish and reality are
seen apart. One thread for each cockpit pulls, and is the only one to touch Bokeh models or texts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from html import escape
from typing import Any, ClassVar

import ipywidgets as W

from kubesim import Cluster
from kubesim.autopod import NAME
from kubesim.errors import KubeSimError, StatusError
from kubesim.traffic import Constant, Sine, Spike
from lessons.charts import WorkloadCharts
from lessons.controls import Controls, slider_with_box
from lessons.live import Live
from lessons.series import Series
from lessons.session import fresh_cluster
from lessons.still import svg

HZ = 5.0  # how often the panel is repainted
LIVE_SPEED = 20.0
STEP_SECONDS = 5.0
FEED_ROWS = 8
TABLE_ROWS = 12


class Cockpit(W.VBox):  # type: ignore[misc]
    """The panel.

    Args:
        clock: "live" (pods are threads, time runs by itself) or "virtual" (Run only paces it).
        speed: simulated seconds per second.
        seed: of the cluster.
        name: a cockpit of the same name is closed first, so a cell may be run again.
        running: begin to run at once.
        cluster: one of yours; None: a fresh one.
    """

    _open: ClassVar[dict[str, Cockpit]] = {}

    def __init__(
        self,
        clock: str = "live",
        *,
        speed: float = LIVE_SPEED,
        seed: int = 7,
        name: str = "main",
        running: bool = True,
        cluster: Cluster | None = None,
    ) -> None:
        previous = Cockpit._open.pop(name, None)
        if previous is not None:
            previous.close()
        self._name = name
        self._seed = seed
        self._lock = threading.RLock()  # guards the swap of the cluster by Reset
        self._stop = threading.Event()
        self._running = threading.Event()
        self.cluster = cluster or self._boot(clock, speed)
        self.series = Series(self.cluster)
        self.charts = WorkloadCharts()
        self.live = Live(self.charts.layout)
        self.controls = Controls(self, clock, speed)
        self._pods, self._feed, self._why = W.HTML(), W.HTML(), W.HTML()
        self._error = W.HTML()
        super().__init__(
            [
                self.controls.transport,
                self.controls.autoscaler,
                self.controls.traffic,
                self._error,
                self.live,
                W.HBox([self._pods, self._feed], layout=W.Layout(width="100%")),
                self._why,
            ]
        )
        Cockpit._open[name] = self
        if running:
            self.run()
        else:
            self.pause()
        self._paint_texts()
        self._thread = threading.Thread(target=self._loop, name=f"cockpit-{name}", daemon=True)
        self._thread.start()

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

    def step(self, seconds: float = STEP_SECONDS) -> None:
        """Let some simulated seconds pass, then stand still."""
        self._running.clear()
        with self._lock:
            self._try(lambda: self.cluster.clock.step(seconds))

    def set_speed(self, speed: float) -> None:
        """Simulated seconds per second."""
        self.cluster.clock.speed = speed

    def reset(self, clock: str | None = None) -> None:
        """Begin again with a fresh cluster of the same seed, on this clock or the other."""
        with self._lock:
            chosen = clock or ("virtual" if self.cluster.clock.virtual else "live")
            was_running = self.running
            self._running.clear()
            self.cluster = self._boot(chosen, self.controls.speed_value)
            self.series = Series(self.cluster)
            if was_running:
                self.run()
            else:
                self.pause()
        self.controls.show_config(self.cluster.hpa_config())

    def set_hpa(self, **changes: Any) -> None:
        """Write the autoscaler's configuration; a refusal is shown, and nothing is changed."""
        self._try(lambda: self.cluster.set_hpa_config(**changes))

    def set_traffic(self, rate: float | None) -> None:
        """Requests per second to the workload; None: none, pods use CPU at random."""
        self._try(lambda: self.cluster.set_traffic(None if rate is None else Constant(rate)))

    def set_preset(self, preset: str) -> None:
        """One of the traffic presets."""
        now = self.cluster.clock.now()
        model: Any = {
            "none": None,
            "steady": Constant(60),
            "spike": Spike(base=30, peak=150, at_seconds=now + 60, seconds=120),
            "wave": Sine(base=70, amplitude=60, period_seconds=600, phase_seconds=now),
        }[preset]
        self._try(lambda: self.cluster.set_traffic(model))

    def close(self) -> None:
        """End the thread; the cluster is closed by `fresh_cluster` or by you."""
        self._stop.set()
        thread = getattr(self, "_thread", None)
        if thread is not None and thread is not threading.current_thread():
            thread.join(5.0)
        if Cockpit._open.get(self._name) is self:
            del Cockpit._open[self._name]
        super().close()

    def table(self) -> Any:
        """The newest rows of the charts as a text table."""
        from kubesim import Table

        rows = list(self.series.rows)[-TABLE_ROWS:]
        return Table(
            ("time [s]", "desired", "ready", "min", "max", "average CPU [m]", "requests/s"),
            [
                (
                    round(r.time, 1),
                    r.desired,
                    r.ready,
                    r.minimum,
                    r.maximum,
                    None if r.average_milli is None else round(r.average_milli),
                    round(r.offered, 1),
                )
                for r in rows
            ],
        )

    # -- the thread -----------------------------------------------------------------------------

    def _loop(self) -> None:
        while not self._stop.wait(1 / HZ):
            try:
                self._tick()
            except Exception as error:  # noqa: BLE001 - the panel says it and goes on
                self.show_error(f"{type(error).__name__}: {error}")

    def _tick(self) -> None:
        with self._lock:
            cluster = self.cluster
            if cluster.clock.virtual and self.running and self._watched():
                cluster.sleep(cluster.clock.speed / HZ)
            fresh = self.series.pull()
        if fresh:
            self._paint_texts()
            if self.live.ready.is_set():
                self.charts.draw(self.series)
        self.live.realign_now_and_then()

    def _watched(self) -> bool:
        """Somebody looks, or there is no page at all (a test)."""
        return self.live.seen or not self.live.ready.is_set()

    def _paint_texts(self) -> None:
        cluster = self.cluster
        kind = "virtual" if cluster.clock.virtual else "live"
        self.controls.show_clock(cluster.clock.now(), kind, self.running)
        if self.series.config:
            self.controls.show_stored(self.series.config)
        rows = cluster.pods("default").rows[:TABLE_ROWS]
        self._pods.value = _html_table(
            ("pod", "status", "node", "CPU [m]", "memory [MB]", "restarts"), rows, "Pods"
        )
        feed = cluster.analytics.since(0, level="info").rows[-FEED_ROWS:]
        self._feed.value = _html_table(
            ("t [s]", "what happened"),
            [(f"{row.time:.0f}", str(row)) for row in reversed(feed)],
            "Events",
        )
        latest = cluster.decisions.latest(f"hpa/{NAME}")
        if latest is not None:
            self._why.value = (
                "<b>Why</b><pre style='font-size:12px;line-height:1.4;white-space:pre-wrap'>"
                f"{escape(str(latest))}</pre>"
            )
        if cluster.failures:
            self.show_error(f"{cluster.failures[-1]}")

    def _try(self, action: Callable[[], Any]) -> None:
        try:
            action()
        except StatusError as error:
            self.show_error(str(error))
        except KubeSimError as error:
            self.show_error(str(error))
        else:
            self._error.value = ""

    def show_error(self, message: str) -> None:
        """A red strip with words."""
        self._error.value = (
            "<div role='alert' style='border-left:6px solid #b00020;background:#fdecea;"
            f"color:#5f0010;padding:6px 10px;font-size:13px'><b>Error:</b> {escape(message)}</div>"
        )

    @property
    def error(self) -> str:
        """What the red strip says; "" if nothing."""
        return str(self._error.value)

    def _boot(self, clock: str, speed: float) -> Cluster:
        return fresh_cluster(nodes=3, seed=self._seed, clock=clock, speed=speed)

    def __repr__(self) -> str:
        kind = "virtual" if self.cluster.clock.virtual else "live"
        return f"Cockpit({self._name!r}, {kind} clock)"

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle = super()._repr_mimebundle_(**options)
        data = bundle[0] if isinstance(bundle, tuple) else bundle
        data["text/plain"] = repr(self)
        if self.cluster.clock.virtual:
            data["image/svg+xml"] = svg(self.series, f"Number of pods: {self!r}")
        return bundle


def _html_table(columns: tuple[str, ...], rows: Any, title: str) -> str:
    head = "".join(f"<th style='text-align:left;padding:1px 10px 1px 0'>{c}</th>" for c in columns)
    body = "".join(
        "<tr>"
        + "".join(
            f"<td style='padding:1px 10px 1px 0;white-space:nowrap'>{escape(str(v))}</td>"
            for v in row
        )
        + "</tr>"
        for row in rows
    )
    return (
        f"<div style='font-size:12px;line-height:1.5;overflow-x:auto'><b>{title}</b>"
        f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


__all__ = ["Cockpit", "slider_with_box"]

"""The words beside the charts: why the autoscaler decided so, the pods, what just happened.

A chart is no use to somebody who cannot see it, and a number says more with its reason beside it.
"""

from __future__ import annotations

from collections import deque

import ipywidgets as W

from kubesim import Cluster
from kubesim.analytics import LogRow
from kubesim.simple.autopod import NAME
from lessons.cockpit import tables
from lessons.cockpit.series import Series

FEED_ROWS = 7
POD_ROWS = 10
CHANGES = 3  # last scalings
ERROR_SECONDS = 60.0  # simulated time for which an error of the log is shown
TABLES = ("cpu", "pods", "traffic")


class CockpitSummary:
    """Texts of one cockpit.

    Attributes:
        box: why, pods and events, one below the other.
        details: the charts as tables, folded.
    """

    def __init__(self) -> None:
        self.why, self.pods, self.feed = W.HTML(), W.HTML(), W.HTML()
        self.tables = [W.HTML() for _ in TABLES]
        self.box = W.VBox(
            [self.why, self.pods, self.feed],
            layout=W.Layout(flex="3 1 330px", min_width="0", grid_gap="6px", padding="0 0 0 12px"),
        )
        row = W.Layout(display="flex", flex_flow="row wrap", width="100%", grid_gap="36px")
        self.details = W.Accordion(
            [W.Box(self.tables, layout=row)],
            titles=("The charts as tables",),
            selected_index=None,
        )
        self.reset()

    def reset(self) -> None:
        """There is another cluster: begin its log from the start."""
        self._cursor = 0
        self._rows: deque[LogRow] = deque(maxlen=FEED_ROWS)
        self._last_error: LogRow | None = None  # the newest row of level error

    def last_error(self, now: float) -> str:
        """What a component complained of within the last minute; "" if nothing."""
        row = self._last_error
        if row is None or now - row.time >= ERROR_SECONDS:
            return ""
        return f"t={row.time:.0f} s, {row}"

    def render(self, cluster: Cluster, series: Series) -> None:
        """Say how things stand."""
        changes = [f"t={m.time:.0f} s: {m.before} → {m.after} pods" for m in series.marks]
        latest = cluster.decisions.latest(f"hpa/{NAME}")
        self.why.value = tables.decision_html(latest, changes[: -CHANGES - 1 : -1])
        self.pods.value = tables.pods_html(cluster.pods("default").rows, POD_ROWS)
        page = cluster.analytics.since(self._cursor, level="info")
        self._cursor = page.cursor
        if page.rows:
            self._rows.extend(page.rows)
            self.feed.value = tables.feed_html(self._rows)
        for logged in page.rows:
            if logged.level == "error":
                self._last_error = logged
        if self.details.selected_index is not None:
            for widget, which in zip(self.tables, TABLES, strict=True):
                shown = tables.of(series, which, POD_ROWS)
                widget.value = tables.html_table(shown.columns, shown.rows, shown.title)

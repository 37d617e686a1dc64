"""The texts of the cockpit: the latest decision and its reasons, pods, events.

Each plot also has a table, for people who cannot see the plot. The nearest in Kubernetes are
`kubectl describe hpa`, `kubectl get pods` and `kubectl get events`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import ipywidgets as W

from kubesim import Cluster
from kubesim.analytics import LogRow
from kubesim.simple.autopod import NAME
from lessons.cockpit import tables
from lessons.cockpit.series import WorkloadSeries
from lessons.ui.html import decision_html, html_table
from lessons.ui.widgets import Details

FEED_ROWS = 7
POD_ROWS = 10
CHANGES = 3  # the last scalings
ERROR_SECONDS = 60.0  # simulated seconds for which an error in the log is shown
TABLES = ("cpu", "pods", "traffic")


class CockpitSummary:
    """The texts of one cockpit.

    Attributes:
        why, feed: the newest decision; the events.
        strip: one cell for each pod.
        details: the pods, and the charts as tables, collapsed.

    Args:
        refresh: called when one of them is opened or closed.
    """

    def __init__(self, refresh: Callable[[], object]) -> None:
        self.why, self.pods, self.feed, self.strip = (W.HTML() for _ in range(4))
        self.tables = [W.HTML() for _ in TABLES]
        row = W.Layout(flex_flow="row wrap", width="100%", grid_gap="36px")
        tables_row = W.HBox(self.tables, layout=row)
        self.details = Details({"Pods": self.pods, "The charts as tables": tables_row}, refresh)
        self.reset()

    def reset(self) -> None:
        """Read the log of a new cluster from its start."""
        self._cursor = 0
        self._rows: deque[LogRow] = deque(maxlen=FEED_ROWS)
        self._last_error: LogRow | None = None  # the newest row of level error

    def last_error(self, now: float) -> str:
        """Return an error that was logged within the last minute; "" if there is none."""
        row = self._last_error
        if row is None or now - row.time >= ERROR_SECONDS:
            return ""
        return f"t={row.time:.0f} s, {row}"

    def render(self, cluster: Cluster, series: WorkloadSeries) -> None:
        """Update the texts."""
        changes = [f"t={m.time:.0f} s: {m.before} → {m.after} pods" for m in series.marks]
        latest = cluster.decisions.latest(f"hpa/{NAME}")
        self.why.value = decision_html(latest, changes[: -CHANGES - 1 : -1])
        pods = tables.pods_sorted(cluster.pods("default").rows)
        self.strip.value = tables.strip_html(pods, series.request_milli)
        if self.details.is_open(0):
            self.pods.value = tables.pods_html(pods)
        page = cluster.analytics.since(self._cursor, level="info")
        self._cursor = page.cursor
        if page.rows:
            self._rows.extend(page.rows)
            self.feed.value = tables.feed_html(self._rows)
        for logged in page.rows:
            if logged.level == "error":
                self._last_error = logged
        if self.details.is_open(1):
            for widget, which in zip(self.tables, TABLES, strict=True):
                table = tables.of(series, which, POD_ROWS)
                widget.value = html_table(table.columns, table.rows, table.title)

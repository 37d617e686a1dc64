"""The chart of a trial: load, latency and pods, with another trial behind it for comparison.

Kubernetes has no counterpart; the nearest are the graphs of a load test.
"""

from __future__ import annotations

from lessons.ui.charts.chart import Band, Chart, Curve, Dots, Markers, Plot

LOAD = Plot(
    name="load",
    y_label="requests [1/s]",
    layers=(
        Band("trial", "", "served", "served", "served"),
        Band("trial", "served", "offered", "unmet", "unmet"),
        Curve("reference", "served", "reference", "A served", optional=True),
        Curve("trial", "offered", "offered", "offered"),
    ),
    height=150,
    still_height=120,
)
LATENCY = Plot(
    name="latency",
    y_label="p95 [s]",
    layers=(
        Curve("reference", "p95", "reference", "A", optional=True),
        Curve("trial", "p95", "latency", "95 % are faster"),
    ),
    height=110,
    still_height=80,
)
PODS = Plot(
    name="trial-pods",
    y_label="pods",
    layers=(
        Curve("reference-sizes", "desired", "reference", "A", step=True, optional=True),
        Curve("trial", "ready", "ready", "ready", step=True),
        Curve("sizes", "desired", "desired", "desired", step=True),
        Dots("recommendations", "pods", "recommendation", "recommendation"),
        Markers("trial-ups", "after", up=True, moments=False),
        Markers("trial-downs", "after", up=False, moments=False),
    ),
    height=180,
    still_height=120,
    whole_numbers=True,
)
CHART = Chart((LOAD, LATENCY, PODS))

"""The chart of a trial: load, latency and pods, with another trial behind it for comparison.

Kubernetes has no counterpart; the nearest are the graphs of a load test.
"""

from __future__ import annotations

from lessons.ui.chart import MARKER_HINT, Band, Chart, Curve, Dots, Markers, Plot

LOAD = Plot(
    name="load",
    title="Requests",
    y_label="requests [1/s]",
    layers=(
        Band("trial", "", "served", "served", "served"),
        Band("trial", "served", "offered", "unmet", "unmet"),
        Curve("reference", "served", "reference", "A served", optional=True),
        Curve("trial", "offered", "offered", "offered"),
    ),
    height=220,
    still_height=120,
)
LATENCY = Plot(
    name="latency",
    title="Latency that 95 % of the requests do not exceed",
    y_label="p95 [s]",
    layers=(
        Curve("reference", "p95", "reference", "A", optional=True),
        Curve("trial", "p95", "latency", "p95 latency"),
    ),
    height=160,
    still_height=80,
)
PODS = Plot(
    name="trial-pods",
    title=f"Pods, and the recommendations of the autoscaler {MARKER_HINT}",
    y_label="pods",
    layers=(
        Curve("reference-sizes", "desired", "reference", "A", step=True, optional=True),
        Curve("trial", "ready", "ready", "ready", step=True),
        Curve("sizes", "desired", "desired", "desired", step=True),
        Dots("recommendations", "pods", "recommendation", "recommendation"),
        Markers("trial-ups", "after", up=True, moments=False),
        Markers("trial-downs", "after", up=False, moments=False),
    ),
    height=230,
    still_height=120,
    whole_numbers=True,
)
CHART = Chart((LOAD, LATENCY, PODS))

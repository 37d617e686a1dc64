"""The live chart without a page: what it would send, and what a page tells it."""

from __future__ import annotations

import ast
import html
import json
import re
from pathlib import Path
from typing import Any

import bokeh
import ipywidgets
import pytest
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure

from lessons import Cockpit, RolloutPanel, SchedulerPanel, TuningPanel
from lessons.ui import live as live_module
from lessons.ui import still_output
from lessons.ui.live import Live, library, script

RANGE_END = 50


@pytest.fixture
def source() -> ColumnDataSource:
    """The source of the chart."""
    return ColumnDataSource({"x": [], "y": []})


@pytest.fixture
def chart(source: ColumnDataSource) -> Live:
    """A live figure."""
    plot = figure(width=300, height=200, x_range=(0, 10))
    plot.line("x", "y", source=source)
    return Live(plot)


def part(chart: Live, name: str) -> Any:
    """Return a part of the widget by its name in the page."""
    return next(each for each in chart.children if f"ks-live-{name}" in each._dom_classes)


def content(chart: Live, name: str) -> Any:
    """Return the JSON that a part carries."""
    return json.loads(html.unescape(re.fullmatch("<div>(.*)</div>", part(chart, name).value)[1]))


def test_nothing_is_sent_before_a_flush(chart: Live, source: ColumnDataSource) -> None:
    """A repaint changes many properties; the page gets them together."""
    source.data = {"x": [1], "y": [2]}
    assert part(chart, "patch").value == ""
    chart.flush()
    assert len(content(chart, "patch")) == 1
    before = part(chart, "patch").value
    chart.flush()
    assert part(chart, "patch").value == before


def test_a_patch_holds_everything_that_ever_changed(chart: Live, source: Any) -> None:
    """So a page that missed a patch, or is loaded later, is right with the next one."""
    plot = chart._document.roots[0]
    source.data = {"x": [1], "y": [float("nan")]}
    chart.flush()
    plot.x_range.end = RANGE_END
    chart.flush()
    patch = content(chart, "patch")
    (first, data), (second, end) = sorted(patch.values())
    assert (first, second) == (1, 2)  # the page applies only what it does not have yet
    assert data["kind"] == "ColumnDataChanged" and data["model"] == {"id": source.id}
    assert ["y", [{"type": "number", "value": "nan"}]] in data["data"]["entries"]
    assert end["attr"] == "end" and end["new"] == RANGE_END


def test_only_whole_values_can_be_sent(chart: Live, source: ColumnDataSource) -> None:
    """Streamed rows would be lost with the message that carries them."""
    with pytest.raises(TypeError, match="replace `data` as a whole"):
        source.stream({"x": [1], "y": [2]})
    chart.close()


def test_the_figure_travels_with_the_widget(chart: Live) -> None:
    """The item is what `Bokeh.embed.embed_item` takes."""
    item = content(chart, "item")
    assert item["version"] == bokeh.__version__
    assert item["root_id"] == chart._document.roots[0].id


def test_bokehjs_is_sent_on_demand_and_then_dropped(
    chart: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that has BokehJS gets no copy; after a while the widget is small again."""
    assert part(chart, "library").value == ""
    part(chart, "ask").click()
    assert part(chart, "library").value == library()
    assert "Copyright (c) Anaconda" in library() and len(library()) > 1_000_000
    part(chart, "hello").click()
    assert part(chart, "library").value == library()
    monkeypatch.setattr(live_module, "LIBRARY_SECONDS", -1.0)
    part(chart, "hello").click()
    assert part(chart, "library").value == ""


def test_a_sign_of_life_is_noted(chart: Live) -> None:
    """The page presses a hidden button while somebody looks."""
    calls: list[float] = []
    chart.on_seen(lambda: calls.append(chart.last_seen))
    assert not chart.ready.is_set()
    created = chart.last_seen
    part(chart, "hello").click()
    assert chart.ready.is_set()
    assert calls == [chart.last_seen] and chart.last_seen > created


def test_what_the_page_sees_of_it(chart: Live) -> None:
    """One visible part; the script knows the names of the others, and quotes nothing."""
    assert [each.layout.display for each in chart.children] == [None] + 5 * ["none"]
    frame = part(chart, "frame").value
    assert f'onload="{script()}"' in frame and '"' not in script()
    for name in ("chart", "library", "item", "patch", "hello", "ask"):
        assert f"&quot;{name}&quot;" in script()


def test_it_may_be_closed_twice(chart: Live, source: ColumnDataSource) -> None:
    """ipywidgets closes a widget once more when it is collected."""
    chart.close()
    chart.close()
    source.data = {"x": [1], "y": [2]}
    chart.flush()
    assert repr(chart) == "Live()"


def test_it_uses_no_private_name_of_a_library() -> None:
    """So that an update of ipywidgets or Bokeh within the pinned range cannot break it.

    What it does use: `Box`, `HTML`, `Button` and their public traits; in Python `json_item`,
    `Document.on_change` and events that serialize themselves; in the page `Bokeh.documents`,
    `Bokeh.embed.embed_item` and `Document.apply_json_patch`. The browser tests find out whether
    these still work together.
    """
    tree = ast.parse(Path(live_module.__file__).read_text(encoding="utf-8"))
    private = {
        (ast.unparse(node.value), node.attr)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and re.match("_[a-z]", node.attr)
    }
    assert ("self", "_serial") in private
    assert {owner for owner, _name in private} == {"self"}
    inherited = {name for kind in Live.__mro__[1:] for name in vars(kind)}
    assert not {name for _owner, name in private} & (inherited | set(vars(ipywidgets.Box())))


def test_a_panel_is_displayed_with_what_stays_when_the_kernel_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """JupyterLab shows the first output or the two others; static pages show the picture."""
    shown: list[dict[str, str]] = []
    monkeypatch.setattr(still_output, "display", lambda data, raw: shown.append(data))
    view = {"application/vnd.jupyter.widget-view+json": "an id", "text/plain": "Panel()"}
    still_output.display_panel(({**view, "image/svg+xml": "<svg/>"}, {}), "<svg>still</svg>")
    widget, line, picture = shown
    assert widget == view  # with a picture beside it, nbconvert would show it twice
    assert line["text/plain"] == still_output.ADVICE
    assert still_output.ADVICE in line["text/html"] and "<style>" in line["text/html"]
    assert picture["image/svg+xml"] == "<svg>still</svg>"


@pytest.mark.parametrize("panel_class", [Cockpit, SchedulerPanel, RolloutPanel, TuningPanel])
def test_a_closed_panel_leaves_no_widget_that_names_a_closed_one(panel_class: Any) -> None:
    """A page that is reloaded restores all widgets of the kernel, or none at all."""

    def kept() -> dict[str, Any]:
        return dict(ipywidgets.Widget.get_manager_state()["state"])

    before = kept()
    panel = panel_class()
    assert len(kept()) > len(before) + 100
    panel.close()
    state = kept()
    named = set(
        re.findall(r"IPY_MODEL_(\w+)", json.dumps([each["state"] for each in state.values()]))
    )
    assert named <= set(state)
    left = [each["model_name"] for key, each in state.items() if key not in before]
    assert set(left) <= {"LayoutModel"}  # those that were replaced while the panel was built
    assert len(left) < 20

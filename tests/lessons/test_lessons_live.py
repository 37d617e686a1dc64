"""The live chart's gate: nothing is sent before a view exists, then exactly what has to be."""

from __future__ import annotations

import json
from typing import Any

import pytest
from bokeh.events import DocumentReady
from bokeh.models import ColumnDataSource
from bokeh.plotting import figure

from lessons.ui import live as live_module
from lessons.ui.live import Live

REALIGNMENT = 7  # six texts and one buffer


@pytest.fixture
def chart() -> tuple[Live, ColumnDataSource, list[tuple[Any, Any]]]:
    """A live figure, its source, and the list of what it would send to the page."""
    source = ColumnDataSource({"x": [], "y": []})
    plot = figure(width=300, height=200)
    plot.line("x", "y", source=source)
    live = Live(plot)
    sent: list[tuple[Any, Any]] = []
    live.send = lambda content, buffers=None: sent.append((content, buffers))  # type: ignore[method-assign]
    return live, source, sent


def test_nothing_is_sent_before_there_is_a_view(chart: Any) -> None:
    """A patch that a view sees only in part would shift every later one."""
    _live, source, sent = chart
    source.data = {"x": [1], "y": [2]}
    assert sent == []


def test_a_view_gets_a_realignment_and_then_whole_patches(chart: Any) -> None:
    """Six texts and a buffer align the page; after that a change is header, metadata, content."""
    live, source, sent = chart
    live.set_trait("_view_count", 1)
    assert live.ready.is_set()
    assert live.seen
    assert len(sent) == REALIGNMENT
    assert all(buffers is None for _content, buffers in sent[:6])
    assert sent[6][1] == [b"\0"]
    del sent[:]
    source.data = {"x": [1, 2], "y": [2, 3]}
    assert len(sent) == 3
    content = json.loads(sent[2][0]["payload"])
    assert content["events"][0]["attr"] == "data"


def test_the_texts_of_a_realignment_announce_one_buffer_and_change_nothing() -> None:
    """Whatever position the page's receiver is in, the texts end before the buffer."""
    fragment = json.loads(live_module._FRAGMENT)
    assert fragment["num_buffers"] == 1
    assert fragment["events"] == []


def test_a_reloaded_page_says_hello_by_an_event(chart: Any) -> None:
    """After a reload the count of views may not change; the document's event still arrives."""
    live, _source, sent = chart
    live._document.callbacks.trigger_event(DocumentReady())
    assert live.ready.is_set()
    assert len(sent) == REALIGNMENT


def test_realignments_come_now_and_then(chart: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not at each repaint, but every few seconds, for pages that sent no event."""
    live, _source, sent = chart
    live.realign_now_and_then()
    assert sent == []  # nobody there
    live.view_created()
    del sent[:]
    live.realign_now_and_then()
    assert sent == []  # just done
    monkeypatch.setattr(live_module, "RESYNC_SECONDS", -1.0)
    live.realign_now_and_then()
    assert len(sent) == REALIGNMENT


def test_it_may_be_closed_twice(chart: Any) -> None:
    """ipywidgets closes a widget once more when it is collected; jupyter_bokeh's would raise."""
    live, source, sent = chart
    live.view_created()
    del sent[:]
    live.close()
    live.close()
    source.data = {"x": [1], "y": [2]}
    assert sent == []
    assert repr(live) == "Live()"

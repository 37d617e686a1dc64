"""How full the nodes are, as figures, text and picture; the scheduler's panel without a page."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest
from panel_tools import wait_for

from kubesim import Cluster
from kubesim.errors import BadRequest
from lessons import SchedulerPanel, fill, place, pod
from lessons.exercises import l05
from lessons.pods import where
from lessons.scheduler.bars import bar_chart, group_colours
from lessons.scheduler.chart import segments_of, wholes_of
from lessons.scheduler.controls import transposed, waiting_html, why_html
from lessons.scheduler.nodes import read_nodes
from lessons.ui.charts.theme import LIGHT

SVG = "{http://www.w3.org/2000/svg}"


def a_cluster() -> Cluster:
    """Two nodes of different size, one with a taint; three pods, of which one waits."""
    cluster = Cluster(nodes=0, seed=1, hpa=False)
    cluster.add_node("node-1", cpu="4", memory="8Gi")
    cluster.add_node("node-2", cpu="2", memory="4Gi")
    cluster.sleep(1)
    place(cluster, pod("web-1", "1", "2Gi", nodeName="node-1"))
    place(cluster, pod("db", "3", "1Gi", nodeName="node-1"), pod("big", "2500m"))
    cluster.node("node-2").taint("dedicated=db:NoSchedule")
    cluster.sleep(1)
    return cluster


def bar_segments(cluster: Cluster) -> dict[str, list[Any]]:
    """The segments of the live node chart."""
    fill = read_nodes(cluster)
    return segments_of(bar_chart(fill), group_colours([fill], LIGHT))


def panel(**options: Any) -> SchedulerPanel:
    """Return a panel on the virtual clock that changes only when the test changes it."""
    board = SchedulerPanel("virtual", running=False, **options)
    board.step(2)
    board.poll()
    board.step(3)
    return board


# -- figures, text, picture -----------------------------------------------------------------------


def test_requests_are_counted_against_what_a_node_offers() -> None:
    """CPU and memory apart; a taint is a note, a waiting pod is named, one that ended is gone."""
    with a_cluster() as cluster:
        seen = read_nodes(cluster, "now")
        first, second = seen.rows
        assert (first.taken("cpu"), first.offers("cpu"), first.share("memory")) == (
            4000,
            4000,
            0.375,
        )
        assert [part.name for part in first.pods] == ["db", "web-1"]
        assert (second.pods, second.notes) == ((), ("dedicated=db:NoSchedule",))
        assert seen.waiting == ("big",)
        cluster.api.delete("Pod", "db")
        cluster.sleep(60)
        after = read_nodes(cluster)
        assert [part.name for part in after.rows[0].pods] == ["big", "web-1"]
        assert after.waiting == ()


def test_the_text_says_what_the_picture_shows() -> None:
    """One row for each node, with units; two moments are printed one below the other."""
    with a_cluster() as cluster:
        one = fill(cluster, "before")
        cluster.node("node-1").cordon()
        cluster.sleep(1)
        both = one.beside(fill(cluster, "after"))
    text = str(both)
    assert "4000 of 4000 (100 %)" in text
    assert "without a node: big" in text
    assert text.index("before") < text.index("after")
    assert both.table(1).column("notes") == ["cordoned", "dedicated=db:NoSchedule"]
    assert both.used_nodes == 1


def test_the_picture_has_a_segment_for_each_pod_and_hatches_closed_nodes() -> None:
    """It is well-formed, has a title and a description, and its segments lie inside their bars."""
    with a_cluster() as cluster:
        seen = fill(cluster, "<before>")
        root = ElementTree.fromstring(seen.svg())
        assert root.findtext(f"{SVG}title") == "<before>"
        description = str(root.findtext(f"{SVG}desc"))
        assert "node-1 100 % of its CPU and 38 % of its memory" in description
        titles = [str(each.text) for each in root.iter(f"{SVG}title")]
        assert [titles.count(t) for t in ("web-1: 1000m", "web-1: 2048Mi", "db: 3000m")] == [
            1,
            1,
            1,
        ]
        rects = list(root.iter(f"{SVG}rect"))
        assert sum(each.get("fill") == "url(#ks-away)" for each in rects) == 2
        whole = next(each for each in rects if each.get("stroke") == "var(--ks-bar-edge)")
        end = float(str(whole.get("x"))) + float(str(whole.get("width")))
        ends = [float(each.get("x", 0)) + float(str(each.get("width"))) for each in rects[1:]]
        assert max(ends) <= end + 0.2


def test_an_overfull_node_makes_the_axis_longer() -> None:
    """Pods that never passed a scheduler may ask for more than there is."""
    with Cluster(nodes=1, seed=1, hpa=False) as cluster:
        cluster.sleep(1)
        cluster.kubelets[0].fail()  # so that no kubelet rejects them
        place(cluster, *(pod(f"p{n}", "3", nodeName="node-1") for n in range(2)))
        assert read_nodes(cluster).rows[0].share("cpu") == 1.5
        assert max(bar_segments(cluster)["right"]) == 150
        assert "6 of 4 cores" in fill(cluster).svg()


def test_a_cluster_without_nodes_has_a_picture_too() -> None:
    """Nothing to show is no error."""
    with Cluster(nodes=0, hpa=False) as cluster:
        assert ElementTree.fromstring(fill(cluster, "empty").svg()) is not None
        assert "empty" in str(fill(cluster, "empty"))


def test_the_chart_s_columns_are_of_one_length() -> None:
    """Each pod twice, CPU and memory; a closed node is hatched."""
    with a_cluster() as cluster:
        segments, wholes = bar_segments(cluster), wholes_of(bar_chart(read_nodes(cluster)))
    assert {len(column) for column in segments.values()} == {4}
    assert {len(column) for column in wholes.values()} == {4}
    assert wholes["hatch"] == [" ", " ", "/", "/"]
    assert segments["right"] == [75.0, 100.0, 12.5, 37.5]
    assert wholes["figures"][-1] == "0 of 4 Gi, tainted"


# -- words ----------------------------------------------------------------------------------------


def test_the_text_of_a_waiting_pod_says_what_refused_it_and_what_would_help() -> None:
    """The table has a column for each node; an unknown pod gets a message of its own."""
    with a_cluster() as cluster:
        html = why_html(cluster, "big")
        assert "Insufficient cpu" in html
        assert "It would fit, if you" in html
        assert "<th scope='col'>node-2</th>" in html
        assert "No scheduler has tried" in why_html(cluster, "nobody")
        assert "No scheduler has tried" in why_html(cluster, "")
        assert "1 without a node:</b> big" in waiting_html(cluster, read_nodes(cluster))
        table = cluster.explain("pod/big").table()
        assert table is not None
        columns, rows = transposed(table)
        assert columns == ["", "node-1", "node-2"]
        assert [row[0] for row in rows] == ["refused by", "because"]


# -- the panel ------------------------------------------------------------------------------------


def test_pods_get_the_requests_of_the_sliders() -> None:
    """So many, each asking for so much; then they are all deleted."""
    board = panel(pods=2)
    board.pods.cpu.slider.value = 1500
    board.pods.memory.box.value = 1024
    board.pods.count.slider.value = 4
    board.pods.create.click()
    board.step(3)
    asked = [
        document["spec"]["containers"][0]["resources"]["requests"]
        for document in board.cluster.api.list("Pod")["items"]
    ]
    assert asked.count({"cpu": "1500m", "memory": "1Gi"}) == 4
    assert len(asked) == 6
    assert not read_nodes(board.cluster).waiting
    board.pods.clear.click()
    board.step(60)
    assert board.cluster.api.list("Pod")["items"] == []
    assert board.error == ""


def test_nodes_are_closed_and_opened() -> None:
    """Cordon and taint are switches, and act on the chosen node."""
    board = panel()
    board.nodes.node.value = "node-2"
    for _ in range(2):
        board.nodes.cordon.click()
        board.nodes.taint.click()
        board.step(2)
        notes = read_nodes(board.cluster).rows[1].notes
        if _ == 0:
            assert notes == ("cordoned", "dedicated=db:NoSchedule")
    assert notes == ()


def test_a_new_weight_restarts_the_scheduler_and_placed_pods_stay() -> None:
    """With weight 5 the next pods go to one node; with 0 the plug-in is gone."""
    board = panel(pods=3)
    before = {f"p{n}": where(board.cluster, f"p{n}") for n in (1, 2, 3)}
    assert len(set(before.values())) == 3
    board.nodes.weight.slider.value = 5
    board.create(4)
    board.step(5)
    assert {f"p{n}": where(board.cluster, f"p{n}") for n in (1, 2, 3)} == before
    assert len({where(board.cluster, f"p{n}") for n in (4, 5, 6, 7)}) == 1
    assert board.cluster.scheduler.framework.plugin("Pack") is not None
    board.reset()
    assert board.cluster.scheduler.framework.weight_of("Pack") == 5
    board.set_weight(0)
    assert board.cluster.scheduler.framework.plugin("Pack") is None


def test_the_panel_says_how_the_chosen_pod_was_placed() -> None:
    """The newest, or the one that is chosen; its segments are marked in the chart."""
    board = panel(pods=2)
    assert wait_for(lambda: "<b>p2</b>" in board.summary.why.value)
    board.draw()
    assert len(board.charts._marked.data["y"]) == 2
    board.summary.pod.value = "p1"
    assert wait_for(lambda: "<b>p1</b>" in board.summary.why.value)
    assert "No pod is waiting" in board.summary.waiting.value
    assert "default plug-ins" in board.nodes.running.value
    assert "has the highest total" in board.summary.happened.value


def test_a_failing_plug_in_is_shown() -> None:
    """The red strip says what went wrong, and the panel goes on."""

    class Bad:
        name = "Bad"

        def score(self, pod: Any, node: Any) -> int:
            return 1 // 0

    board = panel(plugin=Bad(), weight=1, pods=1)
    assert wait_for(lambda: "ZeroDivisionError" in board.error)
    assert board.cluster.api.list("Pod")["items"][0]["spec"].get("nodeName") is None


def test_an_object_that_is_not_a_plug_in_is_refused() -> None:
    """No cluster is left open."""
    with pytest.raises(BadRequest, match="not a scheduler plug-in"):
        SchedulerPanel("virtual", plugin=object(), weight=1)


class Full:
    """A plug-in that packs, as the lesson shows one."""

    name = "Full"

    def score(self, pod: Any, node: Any) -> int:
        """The fuller the better."""
        return int(100 * node.requested.cpu_milli // node.allocatable.cpu_milli)


@pytest.mark.parametrize("answer", [Full, Full(), Full().score])
def test_exercise_5_1_takes_a_function_a_plug_in_or_its_class(answer: Any, capsys: Any) -> None:
    """Who has just written a plug-in may hand it in."""
    assert l05.q1.check(answer) is True
    assert l05.q2.check(answer) is False
    assert l05.q1.check(lambda pod: 1) is False
    assert "does not take (pod, node)" in capsys.readouterr().out


def test_a_score_must_be_a_number_of_0_to_100(capsys: Any) -> None:
    """The framework's own words say so."""
    assert l05.q2.check(lambda pod, node: None) is False
    assert l05.q2.check(lambda pod, node: -node.requested.cpu_milli) is False
    out = capsys.readouterr().out
    assert "returned the score None" in out
    assert "it should in the range of [0, 100]" in out


@pytest.mark.live
def test_the_other_clock_brings_the_first_pods_again() -> None:
    """Live, then virtual: the same panel, another cluster, the same weight."""
    board = SchedulerPanel(speed=20, weight=5)
    for clock in ("live", "virtual"):
        board.choose_clock(clock)
        assert wait_for(lambda: sum(len(row.pods) for row in read_nodes(board.cluster).rows) == 6)
        assert board.cluster.clock.virtual == (clock == "virtual")
        assert sum(bool(row.pods) for row in read_nodes(board.cluster).rows) == 1
    assert board.error == ""


@pytest.mark.live
def test_the_live_panel_runs_and_leaves_a_still_picture() -> None:
    """Pods are threads; the stored picture is the same for every run."""
    board = SchedulerPanel(speed=20)
    assert wait_for(lambda: sum(len(row.pods) for row in read_nodes(board.cluster).rows) == 6)
    data = board._repr_mimebundle_()
    data = data[0] if isinstance(data, tuple) else data
    assert data["text/plain"].startswith("SchedulerPanel('scheduler', live clock)")
    assert data["image/svg+xml"] == board.svg()
    board.set_weight(5)
    board.create(1)
    assert wait_for(lambda: where(board.cluster, "p7") != "")
    assert len(board.table()) == 3

"""The lifecycle log: printed form, cursors, filters, bounds, metrics as rows."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from kubesim import Cluster
from kubesim.analytics import Analytics
from kubesim.table import Table


def test_rows_print_as_the_original_did() -> None:
    """Level, component, action and message; the action is not repeated."""
    printed: list[str] = []
    log = Analytics(lambda: 1.5, sink=printed.append)
    log.log("EtcdStore", "Initialized", "Initialized in-memory etcd-style store.")
    log.log("KubeAPI", "CreatedPod", "ID=1, Name=auto-pod-0")
    log.log("Pod", "PodStart", "Pod auto-pod-0 starting ...", "warn")
    assert printed == [
        "[INFO] EtcdStore: Initialized in-memory etcd-style store.",
        "[INFO] KubeAPI: CreatedPod: ID=1, Name=auto-pod-0",
        "[WARN] Pod: PodStart: Pod auto-pod-0 starting ...",
    ]
    assert [row.time for row in log.since().rows] == [1.5, 1.5, 1.5]


def test_debug_rows_are_kept_but_not_printed() -> None:
    """The sink prints from its level up; the ring keeps everything."""
    printed: list[str] = []
    log = Analytics(lambda: 0.0, sink=printed.append)
    log.log("KubeAPI", "GetKey", "x", "debug")
    assert printed == []
    assert len(log.since().rows) == 1


def fail(_line: str) -> None:
    """A sink that raises."""
    raise OSError("no space left on device")


@pytest.mark.parametrize(
    ("sink", "error"),
    [
        (fail, "OSError: no space left on device in line 3 of `fail`: raise OSError"),
        (lambda: 1, "TypeError: .* takes 0 positional arguments but 1 was given"),
        (3, "TypeError: 'int' object is not callable"),
    ],
)
def test_a_sink_that_raises_is_switched_off_with_one_warning(sink: Any, error: str) -> None:
    """The writers notice nothing; the warning and the number of unprinted rows remain."""
    log = Analytics(lambda: 0.0, sink=sink)
    with pytest.warns(RuntimeWarning, match=f"the sink is switched off: it raised {error}") as got:
        for number in range(3):
            log.log("KubeAPI", "CreatedPod", str(number))
    assert len(got) == 1
    assert [row.message for row in log.since(component="KubeAPI").rows] == ["0", "1", "2"]
    (row,) = log.since(action="SinkFailed").rows
    assert (row.component, row.level) == ("Analytics", "warn")
    assert log.unprinted == 4  # the three rows, and the one about the sink


@pytest.mark.filterwarnings("error")
def test_a_warning_that_is_an_error_harms_no_writer() -> None:
    """Under ``python -W error``, too."""
    log = Analytics(lambda: 0.0, sink=fail)
    log.log("KubeAPI", "CreatedPod", "x")
    assert len(log.since().rows) == 2


def test_a_sink_that_raises_in_two_threads_at_once_gives_one_warning() -> None:
    """The second thread was in the sink already when the first one switched it off."""
    log: Analytics

    def sink(line: str) -> None:
        if "first" in line:
            log.log("Second", "Act", "what another thread writes meanwhile")
        raise BrokenPipeError

    log = Analytics(lambda: 0.0, sink=sink)
    with pytest.warns(RuntimeWarning, match="the sink is switched off") as got:
        log.log("First", "Act", "the first row")
    assert len(got) == 1
    assert [row.action for row in log.since().rows].count("SinkFailed") == 1
    assert log.unprinted == 3


@pytest.mark.filterwarnings("ignore:the sink is switched off")
@pytest.mark.parametrize("sink", [fail, lambda: 1])
def test_a_cluster_works_without_its_sink(sink: Any) -> None:
    """No component fails, and the workload gets its pod."""
    with Cluster(nodes=1, sink=sink) as cluster:
        cluster.sleep(30)
        assert not cluster.failures
        assert {pod["status"] for pod in cluster.api.list_pods()} == {"Running"}
        assert cluster.analytics.unprinted > 5


def test_a_cursor_sees_each_row_once() -> None:
    """Reading from the last cursor gives what came after it, and a limit pages."""
    log = Analytics(lambda: 0.0)
    for number in range(5):
        log.log("a", "b", str(number))
    first = log.since(0, limit=2)
    second = log.since(first.cursor)
    assert [row.message for row in first.rows + second.rows] == list("01234")
    assert log.since(second.cursor).rows == []
    assert log.since(second.cursor).cursor == second.cursor


def test_filters_combine() -> None:
    """Component, least level, action and text narrow the rows; the cursor moves past all."""
    log = Analytics(lambda: 0.0)
    log.log("KubeAPI", "CreatedPod", "ID=1, Name=a")
    log.log("KubeAPI", "DeletedPod", "ID=1, Name=a", "warn")
    log.log("Pod", "PodStart", "Pod a starting ...", "error")
    assert [r.action for r in log.since(component="KubeAPI", level="warn").rows] == ["DeletedPod"]
    assert [r.action for r in log.since(action="PodStart").rows] == ["PodStart"]
    page = log.since(contains="ID=1")
    assert len(page.rows) == 2
    assert log.since(page.cursor).rows == []


def test_a_slow_reader_is_told_what_it_lost() -> None:
    """The ring is bounded; rows that were dropped unread are counted."""
    log = Analytics(lambda: 0.0, capacity=10)
    for number in range(25):
        log.log("a", "b", str(number))
    page = log.since(3)
    assert len(page.rows) == 10
    assert page.rows[0].serial == 16
    assert page.lost == 12


def test_an_unknown_level_is_refused() -> None:
    """The message lists the levels."""
    with pytest.raises(ValueError, match="debug, info, warn, error"):
        Analytics(lambda: 0.0).log("a", "b", "c", "fatal")


@pytest.mark.live
def test_threads_may_write_at_once() -> None:
    """Eight threads, every row kept once, serials without a gap."""
    log = Analytics(lambda: 0.0, capacity=100_000)

    def write(name: int) -> None:
        for number in range(500):
            log.log(str(name), "x", str(number))
            if number % 50 == 0:
                log.since(0, limit=3)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = log.since().rows
    assert [row.serial for row in rows] == list(range(1, 4001))
    assert len({(row.component, row.message) for row in rows}) == 4000


def test_samples_become_rows_when_somebody_asks() -> None:
    """Metrics are read from the store's samples, by revision."""
    log = Analytics(lambda: 0.0)
    assert log.metrics_since().rows == []
    samples = [
        (7, "/registry/metrics.k8s.io/pods/default/a", (3.0, 1.0, (("main", 134, 76_000_000),)))
    ]
    log.attach_samples(lambda after, _limit: ([s for s in samples if s[0] > after], False))
    page = log.metrics_since()
    assert str(page.rows[0]) == "[DEBUG] Pod: Metrics: default/a cpu=134m memory=76MB"
    assert page.cursor == 7
    assert log.metrics_since(page.cursor).rows == []


def test_a_table_prints_and_becomes_other_things() -> None:
    """Numbers stand right, text left; dictionaries and HTML carry the same cells."""
    table = Table(("pod", "cpu [m]"), [("a", 7), ("long-name", 100)], title="pods")
    assert str(table).splitlines() == [
        "pods",
        "pod        cpu [m]",
        "---------  -------",
        "a                7",
        "long-name      100",
    ]
    assert table.to_dicts()[1] == {"pod": "long-name", "cpu [m]": 100}
    assert ">long-name</td>" in table._repr_html_()
    assert table.column("cpu [m]") == [7, 100]
    with pytest.raises(KeyError, match="there are: pod"):
        table.column("memory")


def test_html_of_a_table_is_escaped() -> None:
    """A name cannot smuggle markup into a notebook."""
    assert "<script>" not in Table(("x",), [("<script>",)])._repr_html_()

"""/metrics: the text that Prometheus reads."""

from __future__ import annotations

import re

import pytest
from kube_http import MAPS, PODS, config_map, kube

from kubesim.rest.prometheus import MetricFamily, component_metrics, exposition

pytestmark = pytest.mark.live
LINE = re.compile(r'[a-z_]+(\{([a-z_]+="[^"]*",?)*\})? -?[0-9.e+]+')


def test_the_text_is_what_prometheus_reads() -> None:
    """Names, labels, types and numbers of all lines; requests and components under real names."""
    with kube() as (cluster, ask):
        ask("GET", PODS)
        ask("GET", PODS)
        ask("POST", MAPS, config_map("a"))
        ask("GET", f"{PODS}/none")
        ask("GET", "/apis/none/v1/anything")
        ask.watch(f"{MAPS}?watch=true&timeoutSeconds=1", 9)
        reply = ask("GET", "/metrics")
        revision = cluster.store.revision
    assert reply.headers["Content-Type"].startswith("text/plain; version=0.0.4")
    lines = reply.body.splitlines()
    assert all(line.startswith("# ") or LINE.fullmatch(line) for line in lines)
    pods = 'group="",version="v1",resource="pods",subresource=""'
    assert f'apiserver_request_total{{verb="LIST",{pods},scope="namespace",code="200"}} 2' in lines
    assert f'apiserver_request_total{{verb="GET",{pods},scope="resource",code="404"}} 1' in lines
    assert any('verb="WATCH"' in line and 'resource="configmaps"' in line for line in lines)
    assert not any("anything" in line for line in lines)
    assert f"etcd_debugging_mvcc_current_revision {revision}" in lines
    assert 'apiserver_storage_objects{resource="nodes"} 2' in lines
    assert 'workqueue_depth{name="statefulset-controller"} 0' in lines
    assert any(line.startswith('kubelet_running_pods{node="node-1"}') for line in lines)
    scheduled = (
        'scheduler_schedule_attempts_total{profile="default-scheduler",result="scheduled"} 1'
    )
    assert scheduled in lines


def test_counts_without_a_real_name_say_whose_they_are() -> None:
    """A count of a component that Kubernetes has no metric for is shown all the same."""
    metrics = component_metrics({"thing": {"queue": 2, "errors": 1, "made": 3, "note": "text"}})
    text = exposition(metrics)
    assert 'workqueue_depth{name="thing"} 2' in text
    assert 'workqueue_retries_total{name="thing"} 1' in text
    assert 'kubesim_component_value{component="thing",name="made"} 3' in text
    assert "note" not in text


def test_values_of_labels_are_escaped() -> None:
    """Quotes, backslashes and line ends do not end a value."""
    text = exposition([MetricFamily("m", "gauge", "M.", [({"a": 'x"\\\n'}, 1.5)])])
    assert text.splitlines()[-1] == 'm{a="x\\"\\\\\\n"} 1.5'

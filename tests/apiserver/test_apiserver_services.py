"""Services: allocation of their node ports.

Source: pkg/registry/core/service/storage/{storage.go (patchAllocatedValues),alloc.go}.
"""

from __future__ import annotations

import pytest
from api_builders import a_service

from kubesim.apiserver import KubeAPI
from kubesim.errors import Invalid


def test_node_ports_are_kept_by_the_name_of_their_port(api: KubeAPI) -> None:
    """Another number or target keeps the node port; a port of another name gets a new one."""
    ports = [{"name": "http", "port": 80}, {"name": "admin", "port": 81}]
    first = api.create(a_service(type="NodePort", ports=ports))["spec"]["ports"]
    ports = [{"name": "admin", "port": 8081}, {"name": "new", "port": 80}]
    after = api.update(a_service(type="NodePort", ports=ports))["spec"]["ports"]
    assert after[0]["nodePort"] == first[1]["nodePort"]
    assert after[1]["nodePort"] not in {port["nodePort"] for port in first}


def test_two_protocols_of_a_port_share_a_node_port(api: KubeAPI) -> None:
    """As DNS has it."""
    ports = [
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "dns-tcp", "port": 53, "protocol": "TCP"},
    ]
    made = api.create(a_service(type="NodePort", ports=ports))["spec"]["ports"]
    assert made[0]["nodePort"] == made[1]["nodePort"]


def test_a_node_port_belongs_to_one_service(api: KubeAPI) -> None:
    """A second Service that asks for it is refused, at creation and later."""
    ports = [{"port": 80, "nodePort": 30080}]
    api.create(a_service(type="NodePort", ports=ports))
    taken = r"ports\[0\].nodePort: Invalid value: 30080: provided port is already allocated"
    with pytest.raises(Invalid, match=taken):
        api.create(a_service("other", type="NodePort", ports=ports))
    api.create(a_service("other", type="NodePort"))
    with pytest.raises(Invalid, match=taken):
        api.update(a_service("other", type="NodePort", ports=ports))
    assert api.update(a_service(type="NodePort", ports=ports))["spec"]["ports"][0]["nodePort"]


def test_a_load_balancer_without_node_ports(api: KubeAPI) -> None:
    """allocateLoadBalancerNodePorts false; the policy Local has a port for health checks."""
    options = {"allocateLoadBalancerNodePorts": False, "externalTrafficPolicy": "Local"}
    spec = api.create(a_service(type="LoadBalancer", **options))["spec"]
    assert "nodePort" not in spec["ports"][0]
    assert spec["healthCheckNodePort"] in range(30_000, 32_768)
    again = api.update(a_service(type="LoadBalancer", **options))["spec"]
    assert again["healthCheckNodePort"] == spec["healthCheckNodePort"]

"""managedFields of updates: the maps, lists and structures that a manager owns, beside fields."""

from __future__ import annotations

from api_builders import a_config_map, a_pod, a_workload

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.fieldmanager.structuredmerge import from_fields_v1, to_fields_v1
from kubesim.objects import thaw


def test_a_creation_owns_the_maps_and_structures_that_it_makes(api: KubeAPI) -> None:
    """`.` stands for them; structures that Go holds by value are in every object already."""
    workload = a_workload("Deployment", replicas=2)
    workload["metadata"] |= {"labels": {"app": "web"}, "finalizers": ["a.example/b"]}
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "u1"}
    workload["metadata"]["ownerReferences"] = [owner]
    pod = workload["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "v", "emptyDir": {}}]
    pod["containers"][0]["ports"] = [{"containerPort": 80}]
    (entry,) = api.create(workload, field_manager="me")["metadata"]["managedFields"]
    assert entry["fieldsV1"]["f:metadata"] == {
        "f:finalizers": {".": {}, 'v:"a.example/b"': {}},
        "f:labels": {".": {}, "f:app": {}},
        "f:ownerReferences": {".": {}, 'k:{"uid":"u1"}': {}},
    }
    spec = entry["fieldsV1"]["f:spec"]
    assert spec["f:strategy"] == {
        "f:rollingUpdate": {".": {}, "f:maxSurge": {}, "f:maxUnavailable": {}},
        "f:type": {},
    }
    template = spec["f:template"]
    assert template["f:metadata"] == {"f:labels": {".": {}, "f:app": {}}}
    volume = {".": {}, "f:emptyDir": {}, "f:name": {}}
    assert template["f:spec"]["f:volumes"] == {".": {}, 'k:{"name":"v"}': volume}
    (container,) = template["f:spec"]["f:containers"].values()  # the list has no `.` of its own
    port = {".": {}, "f:containerPort": {}, "f:protocol": {}}
    assert container["f:ports"] == {".": {}, 'k:{"containerPort":80,"protocol":"TCP"}': port}
    assert container["."] == {} and "." not in template["f:spec"]


def test_containers_own_their_resources_even_if_there_are_none(api: KubeAPI) -> None:
    """Go writes `resources: {}`; what is put into it later makes no new structure."""
    pod = a_pod("p")
    pod["spec"]["containers"] = [{"name": "c", "image": "i"}]
    created = api.create(pod, field_manager="me")
    main = 'k:{"name":"c"}'
    (entry,) = created["metadata"]["managedFields"]
    assert entry["fieldsV1"]["f:spec"]["f:containers"][main]["f:resources"] == {}


def test_an_update_owns_only_the_maps_that_were_not_there(api: KubeAPI) -> None:
    """A map that gets another entry stays with the manager that created it."""
    created = api.create(a_config_map(a="1"), field_manager="one")
    changed = thaw(created) | {"data": {"a": "1", "b": "2"}, "binaryData": {"c": "YQ=="}}
    one, two = api.update(changed, field_manager="two")["metadata"]["managedFields"]
    assert one["fieldsV1"] == {"f:data": {".": {}, "f:a": {}}}
    assert two["fieldsV1"] == {"f:binaryData": {".": {}, "f:c": {}}, "f:data": {"f:b": {}}}
    assert to_fields_v1(from_fields_v1(two["fieldsV1"])) == two["fieldsV1"]

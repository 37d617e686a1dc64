"""KubeAPI is composed of parts: its methods are theirs, and can be overridden and replaced."""

from __future__ import annotations

import inspect
import uuid
from random import Random
from typing import Any

import pytest
from api_builders import make_api

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.core import new_uid
from kubesim.apiserver.verbs.create import ObjectCreator
from kubesim.apiserver.verbs.read import Reader
from kubesim.clock import NamedStreams, VirtualClock
from kubesim.errors import Conflict
from kubesim.store import EtcdStore

CONFIG = {"kind": "ConfigMap", "metadata": {"name": "c"}}


def test_there_is_no_tower_of_classes() -> None:
    """One class; what it can do is in its parts."""
    assert KubeAPI.__mro__ == (KubeAPI, object)


def test_a_method_is_the_bound_method_of_its_part() -> None:
    """A call of the server costs no more than a call of the part."""
    api = make_api()
    assert api.create == api.creator.create
    assert api.get == api.reader.get
    assert api.__dict__["create"] is api.create


def test_methods_show_the_signature_and_the_text_of_their_part() -> None:
    """For help(), editors and the documentation."""
    assert inspect.signature(KubeAPI.create) == inspect.signature(ObjectCreator.create)
    assert KubeAPI.list is Reader.list
    names = {name for name, _ in inspect.getmembers(KubeAPI, inspect.isroutine)}
    assert {"get", "list", "watch", "create", "apply", "evict", "bind", "create_pod"} <= names
    public = [name for name in names if not name.startswith("_")]
    undocumented = [name for name in public if not (getattr(KubeAPI, name).__doc__ or "").strip()]
    assert undocumented == []


class Flaky(KubeAPI):
    """A server that refuses its first update."""

    refused = False

    def update(self, document: Any, **options: Any) -> Any:
        """Refuse once, then do as the part does."""
        if not self.refused:
            self.refused = True
            raise Conflict("injected")
        return super().update(document, **options)


def test_a_subclass_overrides_a_method_and_calls_that_of_the_part() -> None:
    """The override stays in place after super() was called."""
    api = Flaky(EtcdStore(), VirtualClock(), NamedStreams(1))
    api.create(CONFIG)
    with pytest.raises(Conflict, match="injected"):
        api.update({**CONFIG, "data": {"a": "1"}})
    assert api.update({**CONFIG, "data": {"a": "1"}})["data"] == {"a": "1"}
    api.refused = False
    with pytest.raises(Conflict, match="injected"):
        api.update({**CONFIG, "data": {"a": "2"}})


def test_a_method_of_one_server_can_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """As tests do, to inject faults; other servers keep theirs."""
    api, other = make_api(), make_api()
    with monkeypatch.context() as patch:
        patch.setattr(api, "get", lambda *_arguments: {"injected": True})
        assert api.get("ConfigMap", "c") == {"injected": True}
        assert other.get("Namespace", "default")["kind"] == "Namespace"
    assert api.get("Namespace", "default")["kind"] == "Namespace"


def test_two_servers_do_not_share_parts() -> None:
    """What is bound to one instance is that instance's."""
    one, two = make_api(), make_api()
    one.create(CONFIG)
    assert one.peek("ConfigMap", "c") is not None
    assert two.peek("ConfigMap", "c") is None


def test_uids_look_like_random_uuids_and_repeat_with_the_seed() -> None:
    """Version 4, RFC variant; same stream, same uids."""
    first = [new_uid(Random(3)) for _ in range(1)] + [new_uid(Random(4))]
    for text in first:
        parsed = uuid.UUID(text)
        assert str(parsed) == text and parsed.version == 4 and parsed.variant == uuid.RFC_4122
    assert new_uid(Random(3)) == first[0] != first[1]

"""Names, uids, owners: reading and making metadata."""

from __future__ import annotations

from random import Random

import pytest

from kubesim.objects import meta

WEB = {
    "apiVersion": "apps/v1",
    "kind": "StatefulSet",
    "metadata": {"name": "web", "namespace": "shop", "uid": "u-1", "resourceVersion": "12"},
}


@pytest.mark.parametrize(
    ("name", "label", "subdomain"),
    [
        ("web", True, True),
        ("web-0", True, True),
        ("0", True, True),
        ("a.b", False, True),
        ("a..b", False, False),
        (".a", False, False),
        ("a.", False, False),
        ("-a", False, False),
        ("a-", False, False),
        ("a-.b", False, False),
        ("Web", False, False),
        ("a_b", False, False),
        ("a b", False, False),
        ("web\n", False, False),
        ("wéb", False, False),
        ("٣", False, False),  # a digit, but not an ASCII one
        ("", False, False),
        ("a" * 63, True, True),
        ("a" * 64, False, True),
        ("a" * 253, False, True),
        ("a" * 254, False, False),
        (None, False, False),
        (7, False, False),
        (["a"], False, False),
    ],
)
def test_dns_names(name: object, label: bool, subdomain: bool) -> None:
    """RFC 1123 in ASCII, whole text, with the lengths of a label and of a subdomain."""
    assert meta.valid_dns1123_label(name) is label
    assert meta.valid_dns1123_subdomain(name) is subdomain


@pytest.mark.parametrize(
    ("key", "valid"),
    [
        ("app", True),
        ("App.Name_1", True),
        ("app.kubernetes.io/name", True),
        ("a" * 63, True),
        ("a" * 64, False),
        ("", False),
        ("/name", False),
        ("app/", False),
        ("a/b/c", False),
        ("Upper.io/name", False),
        ("-a", False),
        ("a b", False),
    ],
)
def test_label_keys(key: str, valid: bool) -> None:
    """A qualified name: an optional DNS prefix, and a name of at most 63."""
    assert meta.valid_label_key(key) is valid


@pytest.mark.parametrize(
    ("value", "valid"),
    [("", True), ("a", True), ("A.b_c-1", True), ("-a", False), ("a b", False), ("a" * 64, False)],
)
def test_label_values(value: str, valid: bool) -> None:
    """Empty, or letters, digits, '-', '_', '.' between letters or digits."""
    assert meta.valid_label_value(value) is valid


def test_reading_tolerates_what_is_missing() -> None:
    """Documents without metadata, or with null in it, read as empty."""
    for document in ({}, {"metadata": None}, {"metadata": {"labels": None, "annotations": None}}):
        assert meta.name_of(document) == meta.namespace_of(document) == meta.uid_of(document) == ""
        assert not meta.labels_of(document) and not meta.annotations_of(document)
        assert meta.resource_version_of(document) == 0
        assert meta.controller_of(document) is None
        assert not meta.is_terminating(document)


def test_keys_go_both_ways() -> None:
    """namespace/name, or the name alone for cluster-scoped objects."""
    assert meta.key_of(WEB) == "shop/web"
    assert meta.split_key("shop/web") == ("shop", "web")
    assert meta.split_key("node-1") == (None, "node-1")
    assert meta.resource_version_of(WEB) == 12


def test_ownership_is_by_uid() -> None:
    """A new object of the same name owns nothing of the old one; only controllers control."""
    pod = {"metadata": {"ownerReferences": [meta.owner_reference(WEB)]}}
    again = {**WEB, "metadata": {**WEB["metadata"], "uid": "u-2"}}
    assert meta.is_owned_by(pod, WEB) and not meta.is_owned_by(pod, again)
    assert meta.controller_of(pod) == {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "name": "web",
        "uid": "u-1",
        "controller": True,
        "blockOwnerDeletion": True,
    }
    loose = {"metadata": {"ownerReferences": [meta.owner_reference(WEB, controller=False)]}}
    assert meta.controller_of(loose) is None and not meta.is_owned_by(loose, WEB)


def test_suffixes_use_kubernetes_alphabet() -> None:
    """27 signs: no vowels, no 0, 1, 3."""
    text = meta.random_suffix(Random(1), 500)
    assert set(text) == set("bcdfghjklmnpqrstvwxz2456789")
    assert len(meta.random_suffix(Random(1))) == 5

"""The rules of a Node's spec: taints, address ranges of pods, and its provider's id.

Source: pkg/apis/core/validation/validation.go (ValidateNode, validateNodeTaints,
ValidateNodeUpdate).
"""

from __future__ import annotations

from ipaddress import IPv4Network

from kubesim.apiserver.kindrules.addresses import CIDR_RULE, parse_cidr
from kubesim.apiserver.podvalidation.formats import validate_label_name
from kubesim.apiserver.validation import FieldErrors, label_value_error
from kubesim.objects.frozen import Document
from kubesim.objects.wellknown import TAINT_EFFECTS

PROVIDER_RULE = 'node updates may not change providerID except from "" to valid'
CIDR_UPDATE_RULE = 'node updates may not change podCIDR except from "" to valid'


def validate_node_spec(spec: Document, errors: FieldErrors) -> None:
    """Validate the spec of a Node."""
    pairs = []
    for path, taint in errors.items("spec.taints", spec.get("taints")):
        key, value, effect = taint.get("key") or "", taint.get("value") or "", taint.get("effect")
        validate_label_name(f"{path}.key", key, errors)
        if message := label_value_error(value):
            errors.invalid(f"{path}.value", value, message)
        if effect:
            errors.one_of(f"{path}.effect", effect, TAINT_EFFECTS)
        else:
            errors.required(f"{path}.effect")
        if (key, effect) in pairs:
            errors.duplicate(path, taint)
        pairs.append((key, effect))
    _validate_ranges(spec, errors)


def _validate_ranges(spec: Document, errors: FieldErrors) -> None:
    ranges: list[str] = spec.get("podCIDRs") or ([spec["podCIDR"]] if spec.get("podCIDR") else [])
    networks = [parse_cidr(item) for item in ranges]
    for index, (item, network) in enumerate(zip(ranges, networks, strict=True)):
        if network is None:
            errors.invalid(f"spec.podCIDRs[{index}]", item, CIDR_RULE)
    if None in networks or len(networks) < 2:
        return
    families = {isinstance(network, IPv4Network) for network in networks}
    if len(networks) > 2 or len(families) < 2:
        rule = "may specify no more than one CIDR for each IP family"
        errors.invalid("spec.podCIDRs", ranges, rule)


def validate_node_update(new: Document, old: Document, errors: FieldErrors) -> None:
    """Forbid changes of the address ranges and of the provider's id, once they are set.

    Args:
        new, old: the object after and before the update.
        errors: receives the violations.
    """
    after, before = new.get("spec") or {}, old.get("spec") or {}
    if before.get("podCIDR") and after.get("podCIDR") != before["podCIDR"]:
        errors.forbidden("spec.podCIDRs", CIDR_UPDATE_RULE)
    if before.get("providerID") and after.get("providerID") != before["providerID"]:
        errors.forbidden("spec.providerID", PROVIDER_RULE)

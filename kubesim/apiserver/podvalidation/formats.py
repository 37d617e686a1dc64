"""Formats of values: port names, IP addresses, keys of ConfigMaps, paths, names of labels.

Source: k8s.io/apimachinery/pkg/util/validation/validation.go (and ip.go),
pkg/apis/core/validation/validation.go (validateLocalDescendingPath).
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from kubesim.apiserver.validation import (
    LABEL_RULE,
    SUBDOMAIN_RULE,
    FieldErrors,
    label_key_error,
)
from kubesim.objects.meta import (
    LABEL_KEY_RULE,
    MAX_LABEL,
    MAX_NAME,
    valid_dns1123_label,
    valid_dns1123_subdomain,
)

PORT_RULE = "must be between 1 and 65535, inclusive"
MAX_PORT_NAME = 15
IP_RULE = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
NOT_NEGATIVE = "must be greater than or equal to 0"
NOT_POSITIVE = "must be greater than zero"
CONFIG_KEY_RULE = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name', "
    " or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
ENV_NAME_RULE = (
    "a valid environment variable name must consist only of printable ASCII characters other "
    "than '='"
)
PATH_RULE = "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"
PREFIXED_RULE = 'must be a domain-prefixed path (such as "acme.io/foo")'
_HTTP_PATH = re.compile(r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+", re.ASCII)
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+", re.ASCII)
_PORT_NAME = re.compile(r"[-a-z0-9]+", re.ASCII)


def at_most(length: int) -> str:
    """Return the rule about the length of a text."""
    return f"must be no more than {length} bytes"


# -- ports -----------------------------------------------------------------------------------------


def port_name_errors(name: str) -> list[str]:
    """Return what is wrong with the name of a port (IsValidPortName).

    >>> port_name_errors("http"), port_name_errors("80")
    ([], ['must contain at least one letter (a-z)'])
    """
    broken = {
        at_most(MAX_PORT_NAME): len(name) > MAX_PORT_NAME,
        "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)": (
            _PORT_NAME.fullmatch(name) is None
        ),
        "must contain at least one letter (a-z)": re.search("[a-z]", name) is None,
        "must not contain consecutive hyphens": "--" in name,
        "must not begin or end with a hyphen": name.startswith("-") or name.endswith("-"),
    }
    return [rule for rule, is_broken in broken.items() if is_broken]


def validate_port(path: str, port: int | str, errors: FieldErrors) -> None:
    """Validate the number or the name of a port.

    Args:
        path: path of the field.
        port: its value.
        errors: collects the errors.
    """
    if isinstance(port, str):
        for message in port_name_errors(port):
            errors.invalid(path, port, message)
    elif not 0 < port < 65536:
        errors.invalid(path, port, PORT_RULE)


# -- names -----------------------------------------------------------------------------------------


def validate_dns_label(path: str, value: str, errors: FieldErrors) -> None:
    """Validate an RFC 1123 label, for example the name of a volume.

    Args:
        path: path of the field.
        value: its value.
        errors: collects the errors.
    """
    if valid_dns1123_label(value):
        return
    if len(value) > MAX_LABEL:
        errors.invalid(path, value, at_most(MAX_LABEL))
    elif valid_dns1123_subdomain(value):
        errors.invalid(path, value, "must not contain dots")
    else:
        errors.invalid(path, value, LABEL_RULE)


def validate_dns_subdomain(path: str, value: str, errors: FieldErrors) -> None:
    """Validate an RFC 1123 subdomain, for example the name of a ServiceAccount.

    Args:
        path: path of the field.
        value: its value.
        errors: collects the errors.
    """
    if len(value) > MAX_NAME:
        errors.invalid(path, value, at_most(MAX_NAME))
    elif not valid_dns1123_subdomain(value):
        errors.invalid(path, value, SUBDOMAIN_RULE)


def validate_label_name(path: str, key: str, errors: FieldErrors) -> None:
    """Validate the key of a label (a qualified name).

    Args:
        path: path of the field.
        key: its value.
        errors: collects the errors.
    """
    if message := label_key_error(key):
        errors.invalid(path, key, message)
        if message == "name part must be non-empty":
            errors.invalid(path, key, LABEL_KEY_RULE)


def validate_env_name(path: str, name: str, errors: FieldErrors) -> None:
    """Validate the name of an environment variable, or the prefix of several.

    Args:
        path: path of the field.
        name: its value.
        errors: collects the errors.

    Source: IsRelaxedEnvVarName, which 1.34 uses.
    """
    if not name.isascii() or not name.isprintable() or "=" in name:
        errors.invalid(path, name, ENV_NAME_RULE)


def validate_config_key(path: str, key: str, errors: FieldErrors) -> None:
    """Validate a key of a ConfigMap or Secret, which can become a file name.

    Args:
        path: path of the key.
        key: the key.
        errors: collects the errors.
    """
    if len(key) > MAX_NAME:
        errors.invalid(path, key, at_most(MAX_NAME))
    if not _CONFIG_KEY.fullmatch(key):
        errors.invalid(path, key, CONFIG_KEY_RULE)
    elif key in (".", ".."):
        errors.invalid(path, key, f"must not be '{key}'")
    elif key.startswith(".."):
        errors.invalid(path, key, "must not start with '..'")


def validate_prefixed_path(path: str, value: str, errors: FieldErrors) -> None:
    """Validate a path below a domain, such as ``acme.io/foo`` (IsDomainPrefixedPath).

    Args:
        path: path of the field.
        value: its value.
        errors: collects the errors.
    """
    if not value:
        errors.required(path)
        return
    host, _, rest = value.partition("/")
    if not host or not rest:
        errors.invalid(path, value, PREFIXED_RULE)
        return
    validate_dns_subdomain(path, host, errors)
    if not _HTTP_PATH.fullmatch(rest):
        errors.invalid(path, rest, PATH_RULE)


# -- addresses -------------------------------------------------------------------------------------


def valid_ip(address: object) -> bool:
    """Return whether a string is an IPv4 or IPv6 address."""
    for kind in (IPv4Address, IPv6Address):
        try:
            kind(str(address))
            return True
        except AddressValueError:
            continue
    return False


def validate_ip(path: str, address: str, errors: FieldErrors) -> None:
    """Validate an IP address.

    Args:
        path: path of the field.
        address: its value.
        errors: collects the errors.
    """
    if not valid_ip(address):
        errors.invalid(path, address, IP_RULE)


# -- paths of files --------------------------------------------------------------------------------


def validate_no_backsteps(path: str, value: str, errors: FieldErrors) -> None:
    """Validate a path of a file: no part of it is `..`.

    Args:
        path: path of the field.
        value: its value.
        errors: collects the errors.
    """
    if ".." in value.split("/"):
        errors.invalid(path, value, "must not contain '..'")


def validate_local_path(path: str, value: str, errors: FieldErrors) -> None:
    """Validate a path of a file below a folder: relative, and without `..`.

    Args:
        path: path of the field.
        value: its value.
        errors: collects the errors.
    """
    if value.startswith("/"):
        errors.invalid(path, value, "must be a relative path")
    validate_no_backsteps(path, value, errors)


def validate_file_name(path: str, value: str, errors: FieldErrors) -> None:
    """Validate a path that a volume gives a file: local, and not starting with `..`.

    Args:
        path: path of the field.
        value: its value.
        errors: collects the errors.
    """
    validate_local_path(path, value, errors)
    if value.startswith("..") and not value.startswith("../"):
        errors.invalid(path, value, "must not start with '..'")

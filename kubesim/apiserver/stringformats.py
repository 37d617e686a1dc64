"""Formats of strings that the schema of a custom kind may name.

>>> is_well_formed("date", "2025-02-29"), is_well_formed("ipv4", "10.0.0.1")
(False, True)
>>> is_well_formed("unheard-of", "anything")
True

Left out: the check digits of ``isbn`` and ``creditcard``.

Source: k8s.io/apiextensions-apiserver/pkg/apiserver/validation/formats.go (which formats there
are), k8s.io/kube-openapi/pkg/validation/strfmt (what each of them is).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from ipaddress import AddressValueError, IPv4Address, IPv6Address

MAX_HOST, MAX_LABEL, MAX_NAME = 255, 63, 253
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_TIME = re.compile(r"([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|[+-][0-9]{2}:[0-9]{2})", re.ASCII)
_MAC = re.compile(
    r"[0-9a-f]{2}(?:([:-])[0-9a-f]{2}(?:\1[0-9a-f]{2}){4}(?:(?:\1[0-9a-f]{2}){2})?"
    r"(?:(?:\1[0-9a-f]{2}){12})?)|[0-9a-f]{4}(?:\.[0-9a-f]{4}){2}(?:\.[0-9a-f]{4})?"
    r"(?:(?:\.[0-9a-f]{4}){6})?",
    re.ASCII | re.IGNORECASE,
)
_UNITS = r"(?:ns|us|µs|μs|ms|s|m|h)"
_GO_DURATION = re.compile(rf"[+-]?(?:0|(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+){_UNITS})+)", re.ASCII)
_WORDS = re.compile(r"([0-9]+)\s*([A-Za-zµ]+)", re.ASCII)
_WORD_UNIT = re.compile(
    r"ns|nanos?|nanoseconds?|us|µs|micros?|microseconds?|ms|millis?|milliseconds?|s|secs?|seconds?|"
    r"m|mins?|minutes?|h|hrs?|hours?|d|days?|w|wks?|weeks?",
    re.IGNORECASE,
)
_ATOM = r"[^\x00-\x20\x7f()<>\[\]:;@\\,.\"]+"
_ADDRESS = rf"(?:{_ATOM}(?:\.{_ATOM})*|\"[^\"\\\r\n]*\")@(?:{_ATOM}(?:\.{_ATOM})*|\[[^\[\]\s]+\])"
_EMAIL = re.compile(rf" *(?:{_ADDRESS}|[^<>@]*<{_ADDRESS}>) *")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.\-]*:", re.ASCII)
_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")


def _matcher(pattern: str) -> Callable[[str], bool]:
    compiled = re.compile(pattern, re.ASCII)
    return lambda text: compiled.fullmatch(text) is not None


def _uuid(version: str, variant: str) -> Callable[[str], bool]:
    digit = "[0-9a-f]"
    first, last = f"{digit}{{8}}-?{digit}{{4}}", f"{digit}{{12}}"
    return _matcher(f"(?i:{first}-?{version}{digit}{{3}}-?{variant}{digit}{{3}}-?{last})")


def is_date(text: str) -> bool:
    """Return whether a string is a day: ``2006-01-02``."""
    if not _DATE.fullmatch(text):
        return False
    try:
        # Go has a year 0, which is a leap year.
        date.fromisoformat("2000" + text[4:] if text.startswith("0000") else text)
    except ValueError:
        return False
    return True


def is_date_time(text: str) -> bool:
    """Return whether a string is a day and a time: ``2006-01-02T15:04:05Z``."""
    day, t, rest = text.lower().partition("t")
    match = _TIME.fullmatch(rest.partition("t")[0])
    if not t or match is None or not is_date(day):
        return False
    return match[1] <= "23" and match[2] <= "59" and match[3] <= "59"


def is_duration(text: str) -> bool:
    """Return whether a string is a duration: ``1h30m``, ``2 days``."""
    if _GO_DURATION.fullmatch(text):
        return True
    return any(_WORD_UNIT.fullmatch(unit) for _, unit in _WORDS.findall(text))


def is_ipv4(text: str) -> bool:
    """Return whether a string is an address with dots; an IPv6 address may end so, too."""
    return "." in text and (_is_ipv4_address(text) or _is_ipv6_address(text))


def is_ipv6(text: str) -> bool:
    """Return whether a string is an address with colons."""
    return ":" in text and _is_ipv6_address(text)


def _is_ipv4_address(text: str) -> bool:
    try:
        IPv4Address(text)
    except AddressValueError:
        return False
    return True


def _is_ipv6_address(text: str) -> bool:
    try:
        return IPv6Address(text).scope_id is None
    except AddressValueError:
        return False


def is_cidr(text: str) -> bool:
    """Return whether a string is an address and the length of a prefix."""
    address, slash, length = text.partition("/")
    if not slash or not re.fullmatch("[0-9]{1,3}", length, re.ASCII):
        return False
    if _is_ipv4_address(address):
        return int(length) <= 32
    return _is_ipv6_address(address) and int(length) <= 128


def is_hostname(text: str) -> bool:
    """Return whether a string is a host's name: labels of letters, digits and inner dashes."""
    labels = text.split(".")
    if len(text.encode()) > MAX_HOST or (len(labels) > 1 and len(labels[-1]) < 2):
        return False
    return all(_is_host_label(label) for label in labels)


def _is_host_label(label: str) -> bool:
    if not label or len(label.encode()) > MAX_LABEL or "-" in (label[0], label[-1]):
        return False
    # Letters and symbols of any script are allowed, but no underscore.
    return all(sign == "-" or sign.isalnum() or _is_symbol(sign) for sign in label)


def _is_symbol(sign: str) -> bool:
    return not sign.isascii() and sign.isprintable() and not sign.isspace()


def is_email(text: str) -> bool:
    """Return whether a string is an address of mail, with or without a name before it."""
    return _EMAIL.fullmatch(text) is not None


def is_uri(text: str) -> bool:
    """Return whether a string is an absolute URI or an absolute path (url.ParseRequestURI)."""
    if not text or re.search(r"[\x00-\x1f\x7f]", text):
        return False
    if text == "*":
        return True
    scheme = _SCHEME.match(text)
    if scheme is None and not text.startswith("/"):
        return False
    rest = text[scheme.end() :] if scheme else text
    if not rest:
        return False
    authority = re.match(r"//([^/?]*)", rest) if scheme else None
    if authority is not None and re.search(r"[\s<>\"\\^`{|}]", authority[1]):
        return False
    return not _ESCAPE.search(rest.partition("?")[0])


def _is_rgb(text: str) -> bool:
    match = re.fullmatch(r"rgb\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\)", text, re.ASCII)
    return match is not None and all(
        len(part) < 4 and int(part) < 256 and str(int(part)) == part for part in match.groups()
    )


def _is_long_name(text: str) -> bool:
    part = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
    return len(text) <= MAX_NAME and re.fullmatch(rf"{part}(\.{part})*", text) is not None


FORMATS: dict[str, Callable[[str], bool]] = {
    "bsonobjectid": _matcher("[0-9a-fA-F]{24}"),
    "byte": _matcher(
        "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})"
    ),
    "cidr": is_cidr,
    "date": is_date,
    "datetime": is_date_time,
    "duration": is_duration,
    "email": is_email,
    "hexcolor": _matcher("#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})"),
    "hostname": is_hostname,
    "ipv4": is_ipv4,
    "ipv6": is_ipv6,
    "k8slongname": _is_long_name,
    "k8sshortname": _matcher("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"),
    "mac": lambda text: _MAC.fullmatch(text) is not None,
    "rgbcolor": _is_rgb,
    "ssn": _matcher("[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}"),
    "uri": is_uri,
    "uuid": _uuid("[0-9a-f]", "[0-9a-f]"),
    "uuid3": _uuid("3", "[0-9a-f]"),
    "uuid4": _uuid("4", "[89ab]"),
    "uuid5": _uuid("5", "[89ab]"),
}
"""The formats by their names without dashes."""


def is_well_formed(format: str, text: str) -> bool:
    """Return whether a string has a format; formats that Kubernetes does not know accept all.

    Args:
        format: named in a schema; dashes do not count.
        text: the string.
    """
    check = FORMATS.get(format.replace("-", ""))
    return check is None or check(text)

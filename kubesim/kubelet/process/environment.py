"""The environment variables of a container, and ``$(NAME)`` in its command.

Later sources override earlier ones: Services of the namespace, `envFrom`, `env`.

>>> pod = {"metadata": {"name": "web-0", "labels": {"app": "web"}}, "spec": {}}
>>> field = {"fieldRef": {"fieldPath": "metadata.labels['app']"}}
>>> container = {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)-$(X)-$$(A)"},
...                      {"name": "APP", "valueFrom": field}]}
>>> own = environment_of(container, Sources(pod))
>>> own["B"], own["APP"], own["HOSTNAME"]
('1-$(X)-$(A)', 'web', 'web-0')

Source: pkg/kubelet/kubelet_pods.go (makeEnvironmentVariables, podFieldSelectorRuntimeValue),
pkg/kubelet/envvars/envvars.go, third_party/forked/golang/expansion/expand.go.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, cast

from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.pods import all_containers, container_limits, container_requests
from kubesim.quantity import parse_quantity

if TYPE_CHECKING:
    from kubesim.objects.types import (
        ContainerDict,
        PodDict,
        ServiceDict,
    )


Find = Callable[[str, str], Document | None]
"""find(kind, name) -> the object in the pod's namespace, or None."""

CONFIG_MAP, SECRET = "ConfigMap", "Secret"
DEFAULTS = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
MAX_STRING, MAX_TOTAL = 131_072, 2 << 20  # of one argument or variable, and of all (execve(2))
REFERENCE = re.compile(r"\$(\$|\(([^()]*)\))")
SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']*)'\]")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the values of variables come from.

    Attributes:
        pod: the pod.
        find: looks up ConfigMaps and Secrets.
        services: of the pod's namespace, and the Service ``kubernetes``.
        ip, host_ip: addresses of the pod and its node.
        allocatable: of the node: (CPU in millicores, memory in bytes), for a container without
            limits.
    """

    pod: PodDict
    find: Find = lambda _kind, _name: None
    services: Sequence[ServiceDict] = ()
    ip: str = ""
    host_ip: str = ""
    allocatable: tuple[int, int] = (0, 0)


def environment_of(container: ContainerDict, sources: Sources) -> dict[str, str]:
    """Return the variables of a container, in the order in which they are defined.

    Variables that name each other could grow without end: one that is too long to start a process
    is cut, and once all together are, the rest is not expanded (`is_too_long`).

    Args:
        container: an entry of the pod's spec.
        sources: where values come from.
    """
    spec = sources.pod.get("spec") or {}
    variables = {**DEFAULTS, "HOSTNAME": hostname_of(sources.pod)}
    linked = spec.get("enableServiceLinks") is not False
    variables |= service_variables(s for s in sources.services if linked or _is_api_server(s))
    for source in container.get("envFrom") or ():
        prefix = str(source.get("prefix") or "")
        references = (CONFIG_MAP, source.get("configMapRef")), (SECRET, source.get("secretRef"))
        for kind, reference in references:
            if reference:
                data = data_of(kind, sources.find(kind, str(reference.get("name") or "")))
                variables |= {f"{prefix}{key}": value for key, value in data.items()}
    size = 0
    for entry in container.get("env") or ():
        if entry.get("valueFrom"):
            value = _value_from(cast("Document", entry["valueFrom"]), container, sources)
        else:
            value = str(entry.get("value") or "")
            value = expand(value, variables) if size <= MAX_TOTAL else value
        if value is not None:
            variables[str(entry.get("name"))] = value
            size += len(value)
    return variables


def may_be_too_long(container: ContainerDict) -> bool:
    """Return whether a container's own variables could be too long: they are, or name others."""
    texts = [str(entry.get("value") or "") for entry in container.get("env") or ()]
    return any("$(" in text or len(text) >= MAX_STRING for text in texts)


def is_too_long(words: Iterable[str], variables: Mapping[str, str]) -> bool:
    """Return whether no process can be started with these arguments and variables (E2BIG).

    Args:
        words: the command and its arguments.
        variables: by name.
    """
    sizes = [*map(len, words), *(len(name) + len(value) for name, value in variables.items())]
    return max(sizes) >= MAX_STRING or sum(sizes) > MAX_TOTAL


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` by the variable's value; ``$$`` is a dollar sign.

    A reference to a variable that does not exist stays as it is. Values of more than MAX_STRING
    characters are cut behind that.

    Args:
        text: of a command, an argument or a variable.
        variables: by name.
    """

    if "$" not in text:
        return text
    parts, size, end = [], 0, 0
    for match in REFERENCE.finditer(text):
        value = "$" if match[1] == "$" else variables.get(match[2], match[0])
        parts += [text[end : match.start()], value]
        size, end = size + len(parts[-1]) + len(parts[-2]), match.end()
        if size > MAX_STRING:
            return "".join(parts)[: MAX_STRING + 1]
    return "".join([*parts, text[end:]])


def hostname_of(pod: PodDict) -> str:
    """Return the host name that a pod sees: spec.hostname, or its name."""
    return str((pod.get("spec") or {}).get("hostname") or meta.name_of(pod))


def _is_api_server(service: ServiceDict) -> bool:
    """Return whether it is the Service of the API server, which each container knows.

    Source: pkg/kubelet/kubelet_pods.go (getServiceEnvVarMap).
    """
    return meta.key_of(service) == "default/kubernetes"


def service_variables(services: Iterable[ServiceDict]) -> dict[str, str]:
    """Return the variables that describe Services, as Docker's links did.

    Args:
        services: headless ones are left out.
    """
    variables: dict[str, str] = {}
    for service in services:
        spec = service.get("spec") or {}
        ip = str(spec.get("clusterIP") or "")
        ports = spec.get("ports") or ()
        if ip in ("", "None") or not ports:
            continue
        prefix = meta.name_of(service).upper().replace("-", "_")
        variables[f"{prefix}_SERVICE_HOST"] = ip
        variables[f"{prefix}_SERVICE_PORT"] = str(ports[0].get("port"))
        for port in ports:
            if port.get("name"):
                name = str(port["name"]).upper().replace("-", "_")
                variables[f"{prefix}_SERVICE_PORT_{name}"] = str(port.get("port"))
        for index, port in enumerate(ports):
            protocol = str(port.get("protocol") or "TCP")
            url = f"{protocol.lower()}://{ip}:{port.get('port')}"
            if index == 0:
                variables[f"{prefix}_PORT"] = url
            stem = f"{prefix}_PORT_{port.get('port')}_{protocol.upper()}"
            variables |= {
                stem: url,
                f"{stem}_PROTO": protocol.lower(),
                f"{stem}_PORT": str(port.get("port")),
                f"{stem}_ADDR": ip,
            }
    return variables


def data_of(kind: str, document: Document | None) -> dict[str, str]:
    """Return the entries of a ConfigMap or Secret as strings; binary ones as far as they are text.

    Args:
        kind: ConfigMap or Secret.
        document: the object; None: there is none.
    """
    if document is None:
        return {}
    data = {str(key): str(value) for key, value in (document.get("data") or {}).items()}
    encoded = data if kind == SECRET else (document.get("binaryData") or {})
    decoded = {str(key): _decode(str(value)) for key, value in encoded.items()}
    return decoded if kind == SECRET else {**data, **decoded}


def _decode(value: str) -> str:
    try:
        return b64decode(value).decode("utf-8", "replace")
    except ValueError:
        return ""


def _value_from(origin: Document, container: ContainerDict, sources: Sources) -> str | None:
    """Return the value of a variable with `valueFrom`; None if the optional source is missing."""
    for kind, field in ((CONFIG_MAP, "configMapKeyRef"), (SECRET, "secretKeyRef")):
        reference = origin.get(field)
        if reference:
            data = data_of(kind, sources.find(kind, str(reference.get("name") or "")))
            return data.get(str(reference.get("key")))
    if origin.get("fieldRef"):
        return field_value(str(origin["fieldRef"].get("fieldPath")), sources)
    if origin.get("resourceFieldRef"):
        return resource_value(origin["resourceFieldRef"], container, sources)
    return None


def field_value(path: str, sources: Sources) -> str:
    """Return a field of the pod, as the downward API delivers it.

    Args:
        path: such as ``metadata.name`` or ``metadata.labels['app']``.
        sources: the pod and its addresses.
    """
    pod = sources.pod
    spec = pod.get("spec") or {}
    subscript = SUBSCRIPT.fullmatch(path)
    if subscript is not None:
        return str((meta.metadata_of(pod).get(subscript[1]) or {}).get(subscript[2], ""))
    if path in ("metadata.labels", "metadata.annotations"):
        entries = meta.metadata_of(pod).get(path.partition(".")[2]) or {}
        return "\n".join(f'{key}="{value}"' for key, value in sorted(entries.items()))
    values = {
        "metadata.name": meta.name_of(pod),
        "metadata.namespace": meta.namespace_of(pod),
        "metadata.uid": meta.uid_of(pod),
        "spec.nodeName": spec.get("nodeName"),
        "spec.serviceAccountName": spec.get("serviceAccountName") or "default",
        "status.hostIP": sources.host_ip,
        "status.hostIPs": sources.host_ip,
        "status.podIP": sources.ip,
        "status.podIPs": sources.ip,
    }
    return str(values.get(path) or "")


def resource_value(reference: Document, container: ContainerDict, sources: Sources) -> str:
    """Return a request or limit in units of its divisor, rounded up.

    Args:
        reference: a resourceFieldRef.
        container: whose resources are meant if the reference names none.
        sources: the pod, and what the node offers where there is no limit.
    """
    named = reference.get("containerName")
    if named:
        container = next(
            (c for c in all_containers(sources.pod) if c.get("name") == named), container
        )
    field, _, resource = str(reference.get("resource")).partition(".")
    amounts = container_limits(container) if field == "limits" else container_requests(container)
    index = {"cpu": 0, "memory": 1}.get(resource)
    if index is None:
        return "0"
    amount = amounts[index]
    if amount is None:
        amount = sources.allocatable[index] if field == "limits" else 0
    base = amount / 1000 if index == 0 else float(amount)
    divisor = parse_quantity(str(reference.get("divisor") or "1")) or 1
    return str(ceil(base / float(divisor)))

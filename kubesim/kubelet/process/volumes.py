"""The files that a container sees: its volumes, and what the kubelet writes into each container.

ConfigMaps and Secrets are read at each access, so that a mounted file follows its object (the real
kubelet takes up to a minute for it). What is mounted with `subPath` stays as it was when the
container was started, as upstream.

>>> pod = {"metadata": {"name": "web-0", "namespace": "shop"},
...        "spec": {"volumes": [{"name": "v", "configMap": {"name": "c"}}]}}
>>> container = {"volumeMounts": [{"name": "v", "mountPath": "/etc/web"}]}
>>> sources = Sources(pod, find=lambda kind, name: {"data": {"color": "blue"}})
>>> files = file_system(container, sources, PodVolumes(sources))
>>> files.names("/etc/web"), files.read("/etc/web/color"), files.read("/etc/hostname")
(['color'], 'blue', 'web-0\\n')

Source: pkg/volume/configmap, secret, downwardapi, projected, emptydir; pkg/kubelet/kubelet_pods.go
(makeMounts, ensureHostsFile), pkg/kubelet/container/helpers.go (ExpandContainerVolumeMounts).
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, cast

from kubesim.kubelet.process.environment import (
    CONFIG_MAP,
    REFERENCE,
    SECRET,
    Sources,
    data_of,
    environment_of,
    expand,
    field_value,
    hostname_of,
    resource_value,
)
from kubesim.kubelet.shell.files import FileSystem, Volume
from kubesim.objects import meta
from kubesim.objects.frozen import Document
from kubesim.objects.volumes import claim_name_of
from kubesim.quantity import parse_memory

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerDict, PodDict, VolumeDict
    from kubesim.objects.types.containers import VolumeMountDict


ACCOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
CLUSTER_DOMAIN = "cluster.local"
DNS_ADDRESS = "10.96.0.10"
TERMINATION_PATH = "/dev/termination-log"

Persistent = Callable[[str, str], Volume]
"""persistent(kind, name) -> the data of a claim, a host path, or an emptyDir of the pod."""
EMPTY_DIR, HOST_PATH, CLAIM = "emptyDir", "hostPath", "PersistentVolumeClaim"


class SubPath(Volume):
    """A directory, or a file, of a volume that is mounted in its place.

    Args:
        volume: the whole volume, which can be written.
        path: relative to it.
    """

    def __init__(self, volume: Volume, path: str) -> None:
        prefix = f"{path}/"
        inner = {each[len(prefix) :] for each in volume.directories if each.startswith(prefix)}
        super().__init__(directories=inner)
        self._volume, self._path = volume, path

    def paths(self) -> Collection[str]:
        """Return the paths of all files, relative to the directory; "" for a file."""
        prefix = f"{self._path}/"
        paths = self._volume.paths()
        if self._path in paths:
            return ("",)
        return [each[len(prefix) :] for each in paths if each.startswith(prefix)]

    def read(self, path: str) -> str | None:
        """Return the content of a file; None if there is none."""
        return self._volume.read(self._inside(path))

    def write(self, path: str, content: str, *, append: bool) -> None:
        """Write a file of the volume; see `Volume.write`."""
        self._volume.write(self._inside(path), content, append=append)

    def write_zeros(self, path: str, count: int) -> None:
        """Write a file of zeros of the volume."""
        self._volume.write_zeros(self._inside(path), count)

    def size_of(self, path: str) -> int:
        """Return the bytes of a file."""
        return self._volume.size_of(self._inside(path))

    def remove(self, path: str) -> None:
        """Remove a file of the volume, if it exists."""
        self._volume.remove(self._inside(path))

    def _inside(self, path: str) -> str:
        return f"{self._path}/{path}" if path else self._path


class PodVolumes:
    """The volumes of one pod; its containers share them.

    Args:
        sources: the pod, and where ConfigMaps and Secrets are found.
        persistent: returns data that outlives a restart of the pod; None: each volume is new.
    """

    def __init__(self, sources: Sources, persistent: Persistent | None = None) -> None:
        self._sources = sources
        self._persistent = persistent
        self._volumes: dict[str, Volume] = {}
        specs = (sources.pod.get("spec") or {}).get("volumes") or ()
        self._specs = {str(spec.get("name")): cast("Document", spec) for spec in specs}

    def volume(self, name: str) -> Volume:
        """Return a volume of the pod by its name."""
        if name not in self._volumes:
            self._volumes[name] = self._make(self._specs.get(name) or {})
        return self._volumes[name]

    def _make(self, spec: Document) -> Volume:
        if any(spec.get(field) for field in ("configMap", "secret", "downwardAPI", "projected")):
            return Volume(lambda: self._files(spec))
        if self._persistent is None:
            return Volume()
        if spec.get("hostPath"):
            return self._persistent(HOST_PATH, str(spec["hostPath"].get("path")))
        pod = self._sources.pod
        if claim := claim_name_of(cast("VolumeDict", spec), meta.name_of(pod)):
            volume = self._persistent(CLAIM, claim)
            source = spec.get("persistentVolumeClaim") or {}
            return _read_only(volume) if source.get("readOnly") else volume
        if spec.get("emptyDir") is not None and spec["emptyDir"].get("medium") != "Memory":
            return self._persistent(EMPTY_DIR, str(spec.get("name")))
        if limit := (spec.get("emptyDir") or {}).get("sizeLimit"):
            return Volume(capacity=parse_memory(str(limit)))  # a tmpfs of that size
        return Volume()

    def used(self) -> dict[str, int]:
        """Return the bytes in each emptyDir; those in memory are not on the disk: negative."""
        sizes: dict[str, int] = {}
        for name, volume in tuple(self._volumes.items()):
            source = self._specs.get(name, {}).get("emptyDir")
            if source is not None:
                sizes[name] = -volume.size if source.get("medium") == "Memory" else volume.size
        return sizes

    def _files(self, spec: Document) -> Mapping[str, str]:
        """Return the files of a read-only volume at this moment."""
        files: dict[str, str] = {}
        for source in (spec.get("projected") or {}).get("sources") or (spec,):
            if source.get("configMap") is not None:
                files |= self._entries(CONFIG_MAP, source["configMap"])
            if source.get("secret") is not None:
                files |= self._entries(SECRET, source["secret"])
            if source.get("downwardAPI"):
                files |= self._fields(source["downwardAPI"])
            if source.get("serviceAccountToken"):
                token = source["serviceAccountToken"]
                files[str(token.get("path") or "token")] = (
                    f"simulated-{meta.uid_of(self._sources.pod)}"
                )
        return files

    def _entries(self, kind: str, source: Document) -> dict[str, str]:
        name = str(source.get("secretName") or source.get("name") or "")
        data = data_of(kind, self._sources.find(kind, name))
        items = source.get("items")
        if not items:
            return data
        return {
            str(item.get("path")): data[str(item.get("key"))]
            for item in items
            if str(item.get("key")) in data
        }

    def _fields(self, source: Document) -> dict[str, str]:
        files: dict[str, str] = {}
        for item in source.get("items") or ():
            if item.get("fieldRef"):
                value = field_value(str(item["fieldRef"].get("fieldPath")), self._sources)
            else:
                value = resource_value(item.get("resourceFieldRef") or {}, {}, self._sources)
            files[str(item.get("path"))] = value
        return files


def file_system(container: ContainerDict, sources: Sources, volumes: PodVolumes) -> FileSystem:
    """Return the files of a new container.

    Args:
        container: an entry of the pod's spec.
        sources: the pod.
        volumes: of the pod.
    """
    pod = sources.pod
    hostname, namespace = hostname_of(pod), meta.namespace_of(pod) or "default"
    domain = f"svc.{CLUSTER_DOMAIN}"
    files = {
        "/etc/hostname": f"{hostname}\n",
        "/etc/hosts": f"127.0.0.1\tlocalhost\n{sources.ip or '127.0.1.1'}\t{hostname}\n",
        "/etc/resolv.conf": f"search {namespace}.{domain} {domain} {CLUSTER_DOMAIN}\n"
        f"nameserver {DNS_ADDRESS}\noptions ndots:5\n",
    }
    mounts: dict[str, Volume] = {}
    if (pod.get("spec") or {}).get("automountServiceAccountToken") is not False:
        mounts[ACCOUNT_PATH] = Volume(lambda: {"namespace": namespace})
    for mount in container.get("volumeMounts") or ():
        volume = volumes.volume(str(mount.get("name")))
        path = posixpath.normpath("/" + str(mount.get("mountPath") or "").strip("/"))
        if below := _sub_path(mount, container, sources):
            volume = _below(volume, below)
        if mount.get("readOnly") and not volume.read_only:
            volume = _read_only(volume)
        mounts[path] = volume
    return FileSystem(files, mounts)


def storage_limit(container: ContainerDict) -> str:
    """Return a container's limit of ephemeral-storage; "": none."""
    limits = (container.get("resources") or {}).get("limits") or {}
    return str(limits.get("ephemeral-storage") or "")


def has_storage_limits(pod: PodDict) -> bool:
    """Whether a pod has a limit of what it may write to the node's disk."""
    spec = pod.get("spec") or {}
    if any((v.get("emptyDir") or {}).get("sizeLimit") for v in spec.get("volumes") or ()):
        return True
    return any(map(storage_limit, spec.get("containers") or ()))


def has_sub_path_expression(container: ContainerDict) -> bool:
    """Return whether a mount of a container has a subPathExpr."""
    return any(mount.get("subPathExpr") for mount in container.get("volumeMounts") or ())


def sub_path_error(container: ContainerDict, sources: Sources) -> str:
    """Return which variable of a subPathExpr is missing, or why its path is refused; "": none.

    Args:
        container: an entry of the pod's spec.
        sources: where values of variables come from.
    """
    variables = environment_of(container, sources)
    for mount in container.get("volumeMounts") or ():
        expression = str(mount.get("subPathExpr") or "")
        for match in REFERENCE.finditer(expression):
            if match[2] is not None and match[2] not in variables:
                return f'missing value for "{match[2]}"'
        path = expand(expression, variables)
        if path.startswith("/"):
            return f"error SubPath `{path}` must not be an absolute path"
        if ".." in path.split("/"):
            return f"unable to provision SubPath `{path}`: must not contain '..'"
    return ""


def _sub_path(mount: VolumeMountDict, container: ContainerDict, sources: Sources) -> str:
    """Return the path of a mount inside of its volume; "": the whole volume is mounted."""
    path = str(mount.get("subPath") or "")
    if expression := mount.get("subPathExpr"):
        path = expand(str(expression), environment_of(container, sources))
    return posixpath.normpath(path).strip("/").removeprefix(".") if path else ""


def _read_only(volume: Volume) -> Volume:
    """Return a view of a volume that cannot be written."""
    return Volume(lambda: files_of(volume), volume.directories)


def files_of(volume: Volume) -> dict[str, str]:
    """Return the files of a volume by relative path."""
    return {path: volume.read(path) or "" for path in volume.paths()}


def _below(volume: Volume, path: str) -> Volume:
    """Return a view of a file, or of a directory, of a volume.

    Of a volume that shows objects it is a copy, since such a mount does not follow its object.
    """
    if not volume.read_only:
        return SubPath(volume, path)
    prefix = f"{path}/"
    files = {
        each[len(prefix) :] if each != path else "": content
        for each, content in files_of(volume).items()
        if each == path or each.startswith(prefix)
    }
    return Volume(lambda: files)

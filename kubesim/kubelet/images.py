"""The images of a node: which are present, how long a pull takes, and which do not exist.

By default every image is on every node, so a pod starts as quickly as in the original simulator.
A cluster with ``Cluster(kubelet=KubeletConfig(image_pull=ImagePulls()))`` has empty nodes and a
registry: the size of an image follows from its name, and a node pulls one image after the other
(serializeImagePulls, the real default).

Two rules hold in both cases:

* An image whose tag or last name part is ``does-not-exist`` or ``missing`` is in no registry:
  ErrImagePull, then ImagePullBackOff, 10 s to 300 s.
* A malformed reference is InvalidImageName: no registry is asked.

>>> pulls = ImagePulls(mb_per_second=10, base_seconds=1, sizes={"web:1": 50_000_000})
>>> pulls.size("web:1"), pulls.seconds("web:1")
(50000000, 6.0)
>>> exists("web:does-not-exist"), exists("missing:1.0"), exists("nginx:1.27")
(False, False, True)
>>> valid_reference("Web Server"), valid_reference("localhost:5000/team/web:1.0")
(False, True)

Source: pkg/kubelet/images/image_manager.go (EnsureImageExists), puller.go.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from kubesim.clock import keyed_bytes
from kubesim.clock.base import Worker

if TYPE_CHECKING:
    from kubesim.objects.types import ContainerImageDict

MISSING = ("does-not-exist", "missing")
MB_PER_SECOND = 40.0  # bandwidth of the node
BASE_SECONDS = 0.4  # to resolve a name, before the first byte
FAIL_SECONDS = 0.6  # until the registry has answered that there is no such image
LEAST_BYTES, MOST_BYTES = 5_000_000, 500_000_000
STATUS_IMAGES = 50  # nodeStatusMaxImages
_REFERENCE = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]+)?/)?"
    r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*"
    r"(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?"
)


def valid_reference(image: str) -> bool:
    """Whether a string is an image reference: ``[registry/]name[:tag][@digest]``."""
    return _REFERENCE.fullmatch(image) is not None


def exists(image: str) -> bool:
    """Whether the simulated registry has an image."""
    name, _, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    return name not in MISSING and tag not in MISSING


@dataclass(frozen=True, slots=True)
class ImagePulls:
    """A registry and the bandwidth to it.

    Args:
        mb_per_second: bandwidth in 10^6 bytes per second.
        base_seconds: constant time of each pull.
        sizes: bytes of some images by their reference; the sizes of others follow from their names.
        present: images that are on every node from the start.
    """

    mb_per_second: float = MB_PER_SECOND
    base_seconds: float = BASE_SECONDS
    sizes: Mapping[str, int] = field(default_factory=dict)
    present: tuple[str, ...] = ()

    def size(self, image: str) -> int:
        """Return the bytes of an image; the same name has the same size."""
        return self.sizes.get(image, size_of(image))

    def seconds(self, image: str) -> float:
        """Return the seconds that a pull takes."""
        return round(self.base_seconds + self.size(image) / (self.mb_per_second * 1e6), 3)


def size_of(image: str) -> int:
    """Return the bytes of an image without a given size: 5 to 500 MB, by its name alone."""
    draw = int.from_bytes(keyed_bytes(f"image-size/{image}", 4), "big")
    return LEAST_BYTES + draw * (MOST_BYTES - LEAST_BYTES) // (1 << 32)


class Pulled(NamedTuple):
    """The result of a pull.

    Attributes:
        image: reference.
        seconds: of the pull alone.
        waited: seconds including the time in the queue.
        bytes: size of the image.
        error: "" if the pull succeeded.
    """

    image: str
    seconds: float
    waited: float
    bytes: int
    error: str = ""

    @property
    def message(self) -> str:
        """The message of the Event Pulled."""
        return (
            f'Successfully pulled image "{self.image}" in {_duration(self.seconds)} '
            f"({_duration(self.waited)} including waiting). Image size: {self.bytes} bytes."
        )


class ImageStore:
    """The images of one node.

    `has` may be called from any thread, the other methods on the kubelet's worker.

    Args:
        pulls: the registry; None: every image that exists is present.
    """

    def __init__(self, pulls: ImagePulls | None = None) -> None:
        self._pulls = pulls
        self._sizes = {image: pulls.size(image) for image in pulls.present} if pulls else {}
        self._free_at = 0.0
        self.pulled = 0

    def has(self, image: str, policy: str) -> bool:
        """Whether a container may start without a pull.

        Args:
            image: the reference.
            policy: imagePullPolicy: Always, IfNotPresent or Never.
        """
        return valid_reference(image) and not self.needs_pull(image, policy)

    def needs_pull(self, image: str, policy: str) -> bool:
        """Whether the kubelet has to pull before a container starts.

        Args:
            image: the reference.
            policy: imagePullPolicy: Always, IfNotPresent or Never.
        """
        if not exists(image):
            return True
        if self._pulls is None:
            return False
        return policy == "Always" or image not in self._sizes

    def pull(self, image: str, now: float, worker: Worker, done: Callable[[Pulled], None]) -> None:
        """Pull an image after the pulls before it.

        A pull of an image that is present takes only the time to check that it is the newest.

        Args:
            image: the reference.
            now: second.
            worker: the kubelet's.
            done: called with the result, on that worker.
        """
        pulls = self._pulls or ImagePulls()
        if not exists(image):
            seconds = FAIL_SECONDS
        elif image in self._sizes:
            seconds = pulls.base_seconds
        else:
            seconds = pulls.seconds(image)
        begin = max(now, self._free_at)
        self._free_at = begin + seconds
        size, error = pulls.size(image), "" if exists(image) else not_found(image)
        result = Pulled(image, seconds, self._free_at - now, size, error)

        def arrived() -> None:
            if not error:
                self._sizes[image] = size
                self.pulled += 1
            done(result)

        worker.call_later(self._free_at - now, arrived)

    def cancel_pulls(self) -> None:
        """Drop the pulls that are in flight, since the node was switched off."""
        self._free_at = 0.0

    def note(self, image: str) -> None:
        """Note that a container uses an image, so that the node reports it."""
        self._sizes.setdefault(image, size_of(image))

    def status(self) -> list[ContainerImageDict]:
        """Return status.images of the node: the largest fifty."""
        largest = sorted(self._sizes.items(), key=lambda item: (-item[1], item[0]))
        return [{"names": [name], "sizeBytes": size} for name, size in largest[:STATUS_IMAGES]]


def not_found(image: str) -> str:
    """Return the runtime's error for an image that is in no registry."""
    return (
        f'rpc error: code = NotFound desc = failed to pull and unpack image "{image}": '
        f'failed to resolve reference "{image}": {image}: not found'
    )


def _duration(seconds: float) -> str:
    """Render a duration as Go does, with milliseconds.

    >>> _duration(1.234), _duration(0.4), _duration(75.5)
    ('1.234s', '400ms', '1m15.5s')
    """
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    return f"{int(minutes)}m{rest:g}s" if minutes else f"{round(rest, 3):g}s"

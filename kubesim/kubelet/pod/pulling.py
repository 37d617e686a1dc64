"""Before a container starts: is its image there, and what happens if it does not come.

Source: pkg/kubelet/images/image_manager.go (EnsureImageExists), pkg/kubelet/events/event.go.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kubesim.kubelet.images import Pulled, valid_reference
from kubesim.kubelet.pod.backoff import PullBackOff
from kubesim.kubelet.pod.containers import ContainerLife

SYNC_SECONDS = 1.0  # from the failure to the kubelet's next look, which finds the back-off

Event = Callable[[str, str, str], Any]
"""event(type, reason, message) about the pod."""
Pull = Callable[[str, Callable[[Pulled], Any]], Any]
"""pull(image, done): ask the node's kubelet for an image; `done` is called on the pod's worker."""


class ImageWaiter:
    """Gets the images of one pod's containers, on the pod's worker.

    Args:
        pull: asks the kubelet for one.
        event: tells about the pod.
        later: calls something after so many seconds while that container waits.
        ready: the image of a container is there: start it.
        again: it is time to try once more.
        changed: a container waits for another reason now.
        waits: told (container, reason, message, seconds to the next try) for the decision record.
    """

    def __init__(
        self,
        pull: Pull,
        *,
        event: Event,
        later: Callable[[ContainerLife, float, Callable[[], Any]], Any],
        ready: Callable[[ContainerLife], Any],
        again: Callable[[ContainerLife], Any],
        changed: Callable[[], Any],
        waits: Callable[[ContainerLife, str, str, float], Any],
    ) -> None:
        self._pull = pull
        self._event = event
        self._later = later
        self._ready, self._try_again = ready, again
        self._changed = changed
        self._waits = waits

    def fetch(self, life: ContainerLife, policy: str) -> None:
        """Ask for the image of a container; it is started, or told why not, later.

        Args:
            life: a container whose image is not there.
            policy: its imagePullPolicy.
        """
        image = life.image
        if not valid_reference(image):
            said = f'couldn\'t parse image name "{image}": invalid reference format'
            said = f'Failed to apply default image tag "{image}": {said}'
            self._stuck(life, "InvalidImageName", "InspectFailed", said)
        elif policy == "Never":
            said = f'Container image "{image}" is not present with pull policy of Never'
            self._stuck(life, "ErrImageNeverPull", "ErrImageNeverPull", said)
        else:
            life.busy = True
            self._event("Normal", "Pulling", f'Pulling image "{image}"')
            self._pull(image, lambda result: self._came(life, result))

    def _stuck(self, life: ContainerLife, reason: str, event: str, message: str) -> None:
        """It will not start, whatever time passes."""
        life.busy = True
        life.wait(reason, message)
        self._event("Warning", event, message)
        self._event("Warning", "Failed", f"Error: {reason}")
        self._waits(life, reason, message, 0.0)

    def _came(self, life: ContainerLife, result: Pulled) -> None:
        if not life.busy:
            return  # it was stopped meanwhile
        if not result.error:
            life.pulls = None
            life.busy = False
            self._event("Normal", "Pulled", result.message)
            self._ready(life)
            return
        image = life.image
        failed = f'Failed to pull image "{image}": {result.error}'
        life.wait("ErrImagePull", result.error)
        self._event("Warning", "Failed", failed)
        self._event("Warning", "Failed", "Error: ErrImagePull")
        life.pulls = life.pulls or PullBackOff()
        delay = life.pulls.delay()
        self._waits(life, "ErrImagePull", result.error, delay)
        self._changed()
        self._later(life, SYNC_SECONDS, lambda: self._back_off(life, result.error))
        self._later(life, delay, lambda: self._again(life))

    def _back_off(self, life: ContainerLife, error: str) -> None:
        said = f'Back-off pulling image "{life.image}"'
        life.wait("ImagePullBackOff", f"{said}: ErrImagePull: {error}")
        self._event("Normal", "BackOff", said)
        self._event("Warning", "Failed", "Error: ImagePullBackOff")
        self._changed()

    def _again(self, life: ContainerLife) -> None:
        life.busy = False
        self._try_again(life)

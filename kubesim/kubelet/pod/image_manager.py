"""The image of a container before it starts: pull it, and back off if it does not come.

Source: pkg/kubelet/images/image_manager.go (EnsureImageExists), pkg/kubelet/events/event.go.
"""

from __future__ import annotations

from collections.abc import Callable

from kubesim.kubelet.images import Pulled, valid_reference
from kubesim.kubelet.pod import records
from kubesim.kubelet.pod.containers import ContainerState
from kubesim.kubelet.pod.context import PodContext
from kubesim.kubelet.pod.status import PodStatusManager
from kubesim.kubelet.process.configuration import RETRY_SECONDS

SYNC_SECONDS = 1.0  # from the failure to the kubelet's next sync, which finds the back-off

Pull = Callable[[str, Callable[[Pulled], object]], object]
"""pull(image, done): ask the node's kubelet for an image; `done` is called on the pod's worker."""


class ImageManager:
    """Gets the images of one pod's containers, on the pod's worker.

    Args:
        context: the pod.
        pull: asks the kubelet for an image.
        status: written when a container waits for another reason.
        ready: called when the image of a container is present: start the container.
        retry: called when it is time for another attempt.
    """

    __slots__ = ("_context", "_pull", "_ready", "_retry", "_status")

    def __init__(
        self,
        context: PodContext,
        pull: Pull,
        status: PodStatusManager,
        *,
        ready: Callable[[ContainerState], object],
        retry: Callable[[ContainerState], object],
    ) -> None:
        self._context, self._pull, self._status = context, pull, status
        self._ready, self._retry = ready, retry

    def ensure_image_exists(self, container: ContainerState, policy: str) -> None:
        """Ask for the image of a container, which is started later, or waits with a reason.

        Args:
            container: one whose image is not present.
            policy: its imagePullPolicy.
        """
        image = container.image
        if not valid_reference(image):
            error = f'couldn\'t parse image name "{image}": invalid reference format'
            message = f'Failed to apply default image tag "{image}": {error}'
            self._fail(container, "InvalidImageName", "InspectFailed", message)
        elif policy == "Never":
            message = f'Container image "{image}" is not present with pull policy of Never'
            self._fail(container, "ErrImageNeverPull", "ErrImageNeverPull", message)
        else:
            container.hold()
            self._context.event("Normal", "Pulling", f'Pulling image "{image}"', container)
            self._pull(image, lambda result: self._pulled(container, image, result))

    def _fail(self, container: ContainerState, reason: str, event: str, message: str) -> None:
        """Make a container wait without a pull; each sync of its pod looks again.

        Source: pkg/kubelet/pod_workers.go (completeWork: a failed sync is repeated after
        backOffPeriod). Another pod may have brought the image by then.
        """
        container.hold()
        container.wait(reason, message)
        self._context.call_later(container, RETRY_SECONDS, lambda: self._pull_again(container))
        self._context.event("Warning", event, message, container)
        self._context.event("Warning", "Failed", f"Error: {reason}", container)
        self._decide(container, reason, message, RETRY_SECONDS)

    def _pulled(self, container: ContainerState, image: str, result: Pulled) -> None:
        if not container.busy or container.image != image:
            return  # it was stopped in the meantime, or its spec names another image by now
        pod = self._context
        if not result.error:
            container.pull_succeeded()
            pod.event("Normal", "Pulled", result.message, container)
            self._ready(container)
            return
        container.wait("ErrImagePull", result.error)
        pod.event(
            "Warning",
            "Failed",
            f'Failed to pull image "{container.image}": {result.error}',
            container,
        )
        pod.event("Warning", "Failed", "Error: ErrImagePull", container)
        delay = container.pull_failed()
        self._decide(container, "ErrImagePull", result.error, delay)
        self._status.write()
        until = pod.now() + delay
        pod.call_later(
            container, SYNC_SECONDS, lambda: self._back_off(container, result.error, until)
        )
        pod.call_later(container, delay, lambda: self._pull_again(container))

    def _back_off(self, container: ContainerState, error: str, until: float) -> None:
        pod = self._context
        message = f'Back-off pulling image "{container.image}"'
        container.wait("ImagePullBackOff", f"{message}: ErrImagePull: {error}")

        def record() -> None:
            pod.event("Normal", "BackOff", message, container)
            pod.event("Warning", "Failed", "Error: ImagePullBackOff", container)

        pod.at_each_sync(container, until, record)
        self._status.write()

    def _pull_again(self, container: ContainerState) -> None:
        container.cancel_timers()
        container.release()
        self._retry(container)

    def _decide(
        self, container: ContainerState, reason: str, message: str, delay_seconds: float
    ) -> None:
        pod = self._context
        pod.decide(
            records.image_record(
                pod.now(), pod.pod, pod.component, container.name, reason, message, delay_seconds
            )
        )

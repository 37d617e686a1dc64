"""The Deployment that the lessons roll out: `web`, whose pods need some time to become ready.

The functions return plain documents, as in a manifest. The image ``web:missing`` is in no registry,
so its pods never become ready; any other image works.

Kubernetes' counterparts are `kubectl create deployment`, `set image` and `scale`.
"""

from __future__ import annotations

from kubesim import Cluster
from kubesim.objects import Document

NAME = "web"
BAD_IMAGE = f"{NAME}:missing"
READY_SECONDS = 10  # from the start of a container until its readiness probe succeeds


def image_of(version: int) -> str:
    """Return the image of a version.

    >>> image_of(2)
    'web:2'
    """
    return f"{NAME}:{version}"


def web(
    replicas: int = 3,
    image: str = "web:1",
    *,
    surge: int | str = "25%",
    unavailable: int | str = "25%",
    ready_after: int = READY_SECONDS,
    deadline: int = 600,
) -> Document:
    """Return the Deployment as a document.

    Args:
        replicas: desired number of pods.
        image: image of their only container.
        surge, unavailable: maxSurge and maxUnavailable, numbers or percentages.
        ready_after: seconds from the start of a container until its readiness probe succeeds.
        deadline: progressDeadlineSeconds.
    """
    labels = {"app": NAME}
    container: Document = {"name": "main", "image": image}
    if ready_after:
        container["readinessProbe"] = {
            "httpGet": {"path": "/", "port": 80},
            "initialDelaySeconds": ready_after,
            "periodSeconds": 5,
        }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME, "labels": labels},
        "spec": {
            "replicas": replicas,
            "progressDeadlineSeconds": deadline,
            "strategy": {"rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def set_image(cluster: Cluster, image: str) -> None:
    """Set the image, as `kubectl set image deployment/web main=IMAGE` does; starts a rollout.

    Raises:
        NotFound: there is no Deployment of that name.
    """
    change = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}}
    cluster.api.patch("Deployment", NAME, change, patch_type="strategic")


def set_replicas(cluster: Cluster, replicas: int) -> None:
    """Set the replicas, as `kubectl scale deployment/web --replicas=N` does.

    Raises:
        NotFound: there is no Deployment of that name.
    """
    cluster.api.patch("Deployment", NAME, {"spec": {"replicas": replicas}})

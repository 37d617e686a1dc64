"""The Deployment that lessons roll out: `web`, whose pods take a while until they are ready.

Plain documents, as in a manifest. Here an image named ``...:missing`` is in no registry, so its
pods are never ready; any other image works.
"""

from __future__ import annotations

from typing import Any

from kubesim import Cluster

NAME = "web"
BAD_IMAGE = f"{NAME}:missing"
READY_SECONDS = 10  # from the start of a container until its probe says ready


def image_of(version: int) -> str:
    """The image of a version.

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
) -> dict[str, Any]:
    """A Deployment, as a document.

    Args:
        replicas: pods that are wanted.
        image: of their only container.
        surge, unavailable: maxSurge and maxUnavailable, numbers or percentages.
        ready_after: seconds from the start of a container until its readiness probe succeeds.
        deadline: progressDeadlineSeconds.
    """
    labels = {"app": NAME}
    container: dict[str, Any] = {"name": "main", "image": image}
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
    """`kubectl set image deployment/web main=IMAGE`: a new template, so a new rollout.

    Raises:
        NotFound: there is no Deployment of that name.
    """
    change = {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": image}]}}}}
    cluster.api.patch("Deployment", NAME, change, patch_type="strategic")


def set_replicas(cluster: Cluster, replicas: int) -> None:
    """`kubectl scale deployment/web --replicas=N`.

    Raises:
        NotFound: there is no Deployment of that name.
    """
    cluster.api.patch("Deployment", NAME, {"spec": {"replicas": replicas}})

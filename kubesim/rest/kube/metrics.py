"""Custom and external metrics over HTTP, as an aggregated adapter answers.

    /apis/custom.metrics.k8s.io/v1beta2/namespaces/NS/pods/*/METRIC
    /apis/custom.metrics.k8s.io/v1beta2/namespaces/NS/services/NAME/METRIC
    /apis/external.metrics.k8s.io/v1beta1/namespaces/NS/METRIC?labelSelector=queue=mail

`kubectl get --raw` reads them. Ours leaves out: metrics of objects without a namespace, and
that the discovery lists each metric.

Source: kubernetes-sigs/custom-metrics-apiserver/pkg/registry; k8s.io/metrics.
"""

from __future__ import annotations

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.base import NOT_ALLOWED
from kubesim.apiserver.verbs.metricsapis import CUSTOM, EXTERNAL
from kubesim.errors import MethodNotAllowed, NotFound, StatusError
from kubesim.rest.http.router import Response
from kubesim.rest.http.wire import Request
from kubesim.rest.kube.negotiate import Refusal, answer
from kubesim.rest.kube.paths import NO_RESOURCE, Place
from kubesim.rest.users import RequestAttributes, User

VERSIONS = {CUSTOM: "v1beta2", EXTERNAL: "v1beta1"}


def serve(api: KubeAPI, request: Request, place: Place, user: User) -> Response:
    """The answer to a question for metrics.

    Raises:
        NotFound: no such metric, or nobody serves any.
        MethodNotAllowed: a method that does not read.
        Refusal: 500, the metric's own function failed.
    """
    if place.version != VERSIONS[place.group] or api.metrics_adapter is None:
        raise NotFound(NO_RESOURCE)
    if request.method not in ("GET", "HEAD"):
        raise MethodNotAllowed(NOT_ALLOWED)
    part = f"{place.plural}/{place.subresource}" if place.subresource else place.plural
    user.require(RequestAttributes("get", place.group, part, place.namespace, place.name))
    try:
        if place.group == EXTERNAL:
            return _external(api, request, place)
        return _custom(api, place)
    except StatusError:
        raise
    except LookupError as error:
        raise NotFound(str(error.args[0]) if error.args else NO_RESOURCE) from error
    except Exception as error:
        raise Refusal(500, f"{type(error).__name__}: {error}") from error


def _external(api: KubeAPI, request: Request, place: Place) -> Response:
    if not place.namespace or place.name:
        raise NotFound(NO_RESOURCE)
    selector = request.parameter("labelSelector")
    return answer(api.external_metrics(place.plural, place.namespace, label_selector=selector))


def _custom(api: KubeAPI, place: Place) -> Response:
    if not place.namespace or not place.name or not place.subresource:
        raise NotFound(NO_RESOURCE)
    kind = api.registry.find(place.plural).kind
    return answer(api.custom_metrics(kind, place.name, place.subresource, place.namespace))

"""Custom and external metrics over HTTP, as an aggregated metrics adapter serves them.

    /apis/custom.metrics.k8s.io/v1beta2/namespaces/NS/pods/*/METRIC
    /apis/custom.metrics.k8s.io/v1beta2/namespaces/NS/services/NAME/METRIC
    /apis/external.metrics.k8s.io/v1beta1/namespaces/NS/METRIC?labelSelector=queue=mail

`kubectl get --raw` reads them. Ours leaves out: metrics of objects without a namespace, and
that the discovery lists each metric.

Source: kubernetes-sigs/custom-metrics-apiserver/pkg/registry; k8s.io/metrics.
"""

from __future__ import annotations

from kubesim.apiserver import KubeAPI
from kubesim.apiserver.core import NOT_ALLOWED
from kubesim.apiserver.verbs.metricsapis import CUSTOM, EXTERNAL
from kubesim.errors import GenericStatusError, MethodNotAllowed, NotFound, StatusError
from kubesim.rest.http.response import Response
from kubesim.rest.http.wire import Request
from kubesim.rest.kube.requestinfo import NO_RESOURCE, RequestInfo
from kubesim.rest.kube.response import object_response
from kubesim.usercode import USER_ERRORS

VERSIONS = {CUSTOM: "v1beta2", EXTERNAL: "v1beta1"}


def serve(api: KubeAPI, request: Request, info: RequestInfo) -> Response:
    """Serve a request for metrics.

    Args:
        api: the API server and its metrics adapter.
        request: the request.
        info: names the metric.

    Raises:
        NotFound: no such metric, or no metrics adapter.
        MethodNotAllowed: the method is neither GET nor HEAD.
        GenericStatusError: 500, the function that computes the metric failed.
    """
    if info.version != VERSIONS[info.group] or api.metrics_adapter is None:
        raise NotFound(NO_RESOURCE)
    if request.method not in ("GET", "HEAD"):
        raise MethodNotAllowed(NOT_ALLOWED)
    try:
        if info.group == EXTERNAL:
            return _external(api, request, info)
        return _custom(api, info)
    except StatusError:
        raise
    except LookupError as error:
        raise NotFound(str(error.args[0]) if error.args else NO_RESOURCE) from error
    except USER_ERRORS as error:
        raise GenericStatusError(500, f"{type(error).__name__}: {error}") from error


def _external(api: KubeAPI, request: Request, info: RequestInfo) -> Response:
    if not info.namespace or info.name:
        raise NotFound(NO_RESOURCE)
    selector = request.parameter("labelSelector")
    return object_response(
        api.external_metrics(info.plural, info.namespace, label_selector=selector)
    )


def _custom(api: KubeAPI, info: RequestInfo) -> Response:
    if not info.namespace or not info.name or not info.subresource:
        raise NotFound(NO_RESOURCE)
    kind = api.registry.find(info.plural).kind
    return object_response(api.custom_metrics(kind, info.name, info.subresource, info.namespace))

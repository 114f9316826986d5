"""Prometheus' page over HTTP, for who knows the token or comes from an address that is let in."""

import hmac
from ipaddress import ip_address

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache

from khaacho.api.addresses import client_address
from monitoring.exposition import CONTENT_TYPE
from monitoring.metrics import exposition


@never_cache
def metrics(request: HttpRequest) -> HttpResponse:
    """Show the metrics; 404 where nobody is let in by settings, 403 for everybody else."""
    if not settings.METRICS_TOKEN and not settings.METRICS_NETWORKS:
        raise Http404
    if not (_knows_the_token(request) or _comes_from_inside(request)):
        raise PermissionDenied
    return HttpResponse(exposition(), content_type=CONTENT_TYPE)


def _knows_the_token(request: HttpRequest) -> bool:
    scheme, _, given = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
    token: str = settings.METRICS_TOKEN
    if not token or scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode())


def _comes_from_inside(request: HttpRequest) -> bool:
    address = client_address(request)
    return address is not None and any(
        ip_address(address) in network for network in settings.METRICS_NETWORKS
    )

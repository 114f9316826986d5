"""Where a request comes from, as far as our own proxies vouch for it."""

from ipaddress import IPv6Address, IPv6Network, ip_address

from django.http import HttpRequest
from rest_framework.request import Request
from rest_framework.settings import api_settings


def client_address(request: HttpRequest | Request) -> str | None:
    """Return the client's address for counting; an IPv6 client counts as its /64 network.

    X-Forwarded-For is believed as many hops deep as NUM_PROXIES says, and not at all for 0.
    None when there is no address, as behind a Unix socket without a proxy's word.
    """
    hops = [hop.strip() for hop in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
    trusted = api_settings.NUM_PROXIES or 0
    text = hops[-min(trusted, len(hops))] if trusted else request.META.get("REMOTE_ADDR", "")
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if not isinstance(address, IPv6Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(IPv6Network((address, 64), strict=False).network_address)

"""Who calls: the actor in an access token, believed without a query."""

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request

from khaacho import tokens
from khaacho.actors import Actor
from khaacho.api.problems import BEARER

_KNOWN = "_khaacho_actor"  # on the request: its Authorization header and whose it is


class TokenAuthentication(BaseAuthentication):
    """Read `Authorization: Bearer …`; `request.user` becomes an Actor. Raises TokenRefused (401)."""

    def authenticate(self, request: Request) -> tuple[Actor, str] | None:
        actor = identify(request._request)
        return None if actor is None else (actor, request.META["HTTP_AUTHORIZATION"][7:].strip())

    def authenticate_header(self, request: Request) -> str:
        return BEARER


def identify(request: HttpRequest) -> Actor | None:
    """Return the actor of a request's access token, which is read once; None without one.

    Raises TokenRefused (401).
    """
    header: str = request.META.get("HTTP_AUTHORIZATION", "")
    known = getattr(request, _KNOWN, None)
    if known is not None and known[0] == header:
        actor: Actor = known[1]
        return actor
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        return None
    actor = tokens.read_access_token(token.strip())
    setattr(request, _KNOWN, (header, actor))
    return actor


def caller(request: Request | HttpRequest) -> Actor:
    """Return the signed-in actor of an API request. Raises NotAuthenticated (401)."""
    actor: object = getattr(request, "user", None)
    if not isinstance(actor, Actor):
        raise NotAuthenticated
    return actor

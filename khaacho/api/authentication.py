"""Who calls: the actor in an access token, believed without a query."""

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import NotAuthenticated
from rest_framework.request import Request

from khaacho import tokens
from khaacho.actors import Actor
from khaacho.api.problems import BEARER


class TokenAuthentication(BaseAuthentication):
    """Read `Authorization: Bearer …`; `request.user` becomes an Actor. Raises TokenRefused (401)."""

    def authenticate(self, request: Request) -> tuple[Actor, str] | None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        return tokens.read_access_token(token.strip()), token

    def authenticate_header(self, request: Request) -> str:
        return BEARER


def caller(request: Request | HttpRequest) -> Actor:
    """Return the signed-in actor of an API request. Raises NotAuthenticated (401)."""
    actor: object = getattr(request, "user", None)
    if not isinstance(actor, Actor):
        raise NotAuthenticated
    return actor

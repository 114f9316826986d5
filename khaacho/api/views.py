"""Signing in and out."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from khaacho import tokens
from khaacho.actors import Actor
from khaacho.api.addresses import client_address
from khaacho.api.authentication import caller
from khaacho.api.serializers import CharField, IdField, Serializer
from khaacho.api.verbs import validated
from khaacho.models import User
from khaacho.tokens import Tokens


class SignInSerializer(Serializer):
    phone = CharField(max_length=32)
    password = CharField(max_length=128, trim_whitespace=False)


class RefreshSerializer(Serializer):
    refresh = CharField(max_length=128)


class IdentitySerializer(Serializer):
    id = IdField(source="user_id")
    name = CharField()
    role = CharField()
    retailer_id = IdField(allow_null=True)
    vendor_id = IdField(allow_null=True)


class TokensSerializer(Serializer):
    """`expires_in` is the access token's life in seconds."""

    access = CharField()
    refresh = CharField()
    expires_in = IdField()
    user = IdentitySerializer()


class ProfileSerializer(IdentitySerializer):
    phone = CharField()
    language = CharField()


def tokens_response(given: Tokens, *, status: int = 200) -> Response:
    """Return the answer to a sign-in, for whatever signs a user in; caches may not keep it."""
    headers = {"Cache-Control": "no-store"}
    return Response(TokensSerializer(given).data, status=status, headers=headers)


class PublicView(APIView):
    """A view that asks for no token and looks at none, so that a stale one does no harm."""

    authentication_classes = []
    permission_classes = []


class TokenView(PublicView):
    problems = (401,)

    @extend_schema(
        request=SignInSerializer, responses={200: TokensSerializer}, operation_id="auth_token"
    )
    def post(self, request: Request) -> Response:
        """Sign in with phone and password."""
        body = validated(SignInSerializer, request)
        return tokens_response(tokens.sign_in(**body, address=client_address(request)))


class RefreshView(PublicView):
    problems = (401,)

    @extend_schema(
        request=RefreshSerializer, responses={200: TokensSerializer}, operation_id="auth_refresh"
    )
    def post(self, request: Request) -> Response:
        """Exchange a refresh token, once, for new tokens."""
        return tokens_response(tokens.refresh(validated(RefreshSerializer, request)["refresh"]))


class LogoutView(PublicView):
    @extend_schema(request=RefreshSerializer, responses={204: None}, operation_id="auth_logout")
    def post(self, request: Request) -> Response:
        """Revoke a refresh token and its whole family; an unknown one is no error."""
        tokens.revoke(validated(RefreshSerializer, request)["refresh"])
        return Response(status=204)


class MeView(APIView):
    @extend_schema(responses={200: ProfileSerializer}, operation_id="auth_me")
    def get(self, request: Request) -> Response:
        """Say who is signed in."""
        return Response(ProfileSerializer(_profile(caller(request))).data)


def _profile(actor: Actor) -> dict[str, Any]:
    """Return the actor with what only the database knows. Raises TokenRefused. One query."""
    user = User.objects.filter(pk=actor.user_id or 0, is_active=True, deleted_at=None)
    row = user.values("phone", "language").first()
    if row is None:
        raise tokens.TokenRefused
    return {**vars(actor), **row}

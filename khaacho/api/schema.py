"""What drf-spectacular cannot see by itself: problems, idempotency keys, verbs, the token scheme."""

from http import HTTPStatus
from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework import serializers

from khaacho.api.idempotency import HEADER
from khaacho.api.problems import MEDIA_TYPE
from khaacho.api.verbs import Verb


class ProblemSerializer(serializers.Serializer[Any]):
    """RFC 9457. Some codes add members, as `credit_limit_exceeded` adds `available` and `required`."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    code = serializers.CharField()
    errors = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))  # type: ignore[assignment]
    request_id = serializers.CharField()


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """`Authorization: Bearer <access token>`."""

    target_class = "khaacho.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


RATE_HEADERS = {
    "RateLimit-Limit": "Requests that the caller has in a window, in the counter with the least room.",
    "RateLimit-Remaining": "Requests left in this window.",
    "RateLimit-Reset": "Seconds until the window begins anew.",
}
RETRY_AFTER = {"Retry-After": "Seconds to wait before another try."}


def _headers(status: str) -> dict[str, Any]:
    described = RATE_HEADERS | (RETRY_AFTER if status in {"429", "503"} else {})
    return {
        name: {"description": text, "schema": {"type": "integer"}}
        for name, text in described.items()
    }


class Schema(AutoSchema):
    """Every operation with the problems it may answer; POST handlers with their idempotency key."""

    def get_override_parameters(self) -> list[Any]:
        wanted = self._idempotency()
        if not wanted:
            return []
        key = OpenApiParameter(
            HEADER,
            str,
            OpenApiParameter.HEADER,
            required=wanted == "required",
            description="1 to 128 visible ASCII characters; the same key and body by the same caller"
            " give the first answer again, for 30 days.",
        )
        return [key]

    def get_request_serializer(self) -> Any:
        if isinstance(self.view, Verb):
            return self.view.input_serializer
        return super().get_request_serializer()

    def get_response_serializers(self) -> Any:
        if isinstance(self.view, Verb):
            status = self.view.success_status if self.view.output_serializer else 204
            return {status: self.view.output_serializer}
        return super().get_response_serializers()

    def _get_response_bodies(self, direction: Any = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for status in self._problems():
            if str(status) not in bodies:
                document = OpenApiResponse(ProblemSerializer, description=HTTPStatus(status).phrase)
                bodies[str(status)] = self._get_response_for_code(  # type: ignore[no-untyped-call]
                    document, str(status), media_types=[MEDIA_TYPE], direction=direction
                )
        for code, body in bodies.items():
            body.setdefault("headers", {}).update(_headers(code))
        return bodies

    def _idempotency(self) -> str:
        """Whether the operation takes a key: "required", "optional" or not ("")."""
        if self.method != "POST":
            return ""
        if isinstance(self.view, Verb):
            return "required" if self.view.key_required else "optional"
        handler = getattr(self.view, getattr(self.view, "action", None) or "post", None)
        return getattr(handler, "idempotency_key", "")

    def _problems(self) -> list[int]:
        """A view names what only it answers: `problems = (401,)`."""
        statuses = [400, 429, 503, *getattr(self.view, "problems", ())]
        if self.view.get_authenticators():
            statuses += [401, 403]
        if "{" in self.path:
            statuses.append(404)
        if self.method in {"POST", "PUT", "PATCH", "DELETE"}:
            statuses += [409, 413, 415, 422]
        return sorted(set(statuses))

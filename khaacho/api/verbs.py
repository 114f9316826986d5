"""Views whose POST runs one verb: `POST orders/42/accept/`.

    class Cancel(Verb):
        permission_classes = [IsRetailerOrStaff]
        input_serializer = ReasonSerializer
        output_serializer = OrderSerializer

        def run(self, actor: Actor, data: Body, *, order_id: int) -> Order:
            return services.cancel_order(actor=actor, order_id=order_id, reason=data["reason"])

The verb owns its transaction and its locks; whatever it raises becomes a problem document, and what it
left to do after the rollback is done first.
"""

from typing import Any, ClassVar

from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from khaacho import permissions
from khaacho.actors import Actor
from khaacho.api.authentication import caller
from khaacho.api.idempotency import once

Body = dict[str, Any]


def validated(serializer: type[BaseSerializer[Any]], request: Request, **context: Any) -> Any:
    """Return the request's body as the serializer reads it. Raises DRF's ValidationError (400)."""
    bound = serializer(data=request.data, context={"request": request, **context})
    bound.is_valid(raise_exception=True)
    return bound.validated_data


class Verb(APIView):
    """Validate the body, run the verb as the caller, answer with what it returns.

    Idempotency-Key is honoured, and demanded when `key_required`. Without an `output_serializer` the
    answer is 204 when `run` returns None, else what it returns. Employees need `staff_permission`, the
    same that the admin asks for.
    """

    input_serializer: ClassVar[type[BaseSerializer[Any]] | None] = None
    output_serializer: ClassVar[type[BaseSerializer[Any]] | None] = None
    success_status: ClassVar[int] = 200
    key_required: ClassVar[bool] = False
    staff_permission: ClassVar[str] = ""

    def run(self, actor: Actor, data: Any, **route: Any) -> Any:
        """Call the service. `data` is the validated body, `{}` for a view that reads none."""
        raise NotImplementedError

    def post(self, request: Request, **route: Any) -> HttpResponseBase:
        return once(request, lambda: self._perform(request, **route), required=self.key_required)

    def _perform(self, request: Request, **route: Any) -> Response:
        if self.staff_permission:
            permissions.require(caller(request), self.staff_permission)
        data = validated(self.input_serializer, request) if self.input_serializer else {}
        result = self.run(caller(request), data, **route)
        if self.output_serializer is not None:
            shown = self.output_serializer(result, context={"request": request})
            return Response(shown.data, status=self.success_status)
        return Response(result, status=204 if result is None else self.success_status)

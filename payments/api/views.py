"""Payments: recorded by the vendor who was paid or by staff, reversed by staff."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from khaacho import permissions
from khaacho.actors import Actor
from khaacho.api.authentication import caller
from khaacho.api.idempotency import idempotent
from khaacho.api.permissions import IsStaff, IsVendorOrStaff, SignedIn
from khaacho.api.serializers import ready
from khaacho.api.verbs import Body, Verb
from khaacho.exceptions import Invalid
from payments import selectors, services
from payments.api.filters import PaymentFilter
from payments.api.serializers import (
    PaymentRequestSerializer,
    PaymentRowSerializer,
    PaymentSerializer,
    ReversalSerializer,
)
from payments.enums import PaymentMethod
from payments.models import Payment
from payments.services import Allocation


class PaymentList(ListAPIView[Payment]):
    """Own payments: a retailer's made, a vendor's received; staff see all."""

    queryset = Payment.objects.none()
    serializer_class = PaymentRowSerializer
    filterset_class = PaymentFilter
    sort_fields = {"created_at": "created_at", "amount": "amount"}
    default_sort = "-created_at"

    def get_permissions(self) -> list[Any]:
        return [IsVendorOrStaff() if self.request.method == "POST" else SignedIn()]

    def get_queryset(self) -> QuerySet[Payment]:
        return selectors.payments(caller(self.request))

    @extend_schema(request=PaymentRequestSerializer, responses={201: PaymentSerializer})
    @idempotent(required=True)
    def post(self, request: Request) -> Response:
        """Record money received from a retailer."""
        actor = caller(request)
        permissions.require(actor, "payments.record_payment")
        body = ready(PaymentRequestSerializer).run_validation(request.data)
        payment = services.record_payment(**_payment(body, actor), actor=actor)
        return Response(ready(PaymentSerializer).to_representation(payment), status=201)


class PaymentDetail(RetrieveAPIView[Payment]):
    queryset = Payment.objects.none()
    serializer_class = PaymentSerializer
    lookup_url_kwarg = "payment_id"
    filter_backends = []

    def get_queryset(self) -> QuerySet[Payment]:
        return selectors.shown(caller(self.request))


class Reverse(Verb):
    """Take a payment back: what it had paid is due again, as of its old dates."""

    permission_classes = [IsStaff]
    input_serializer = ReversalSerializer
    output_serializer = PaymentSerializer

    def run(self, actor: Actor, data: Body, **route: Any) -> Payment:
        act = "bounce_cheque" if data.get("bounced") else "reverse_payment"
        permissions.require(actor, f"payments.{act}")
        services.reverse_payment(**route, **data, actor=actor)
        return _shown(route["payment_id"], actor)


def _payment(body: Body, actor: Actor) -> Body:
    """Return the arguments of the verb; a vendor records for itself. Raises Invalid."""
    vendor_id = body.get("vendor_id", actor.vendor_id)
    if vendor_id is None:
        raise Invalid(errors={"vendor_id": ["Say which vendor was paid."]})
    return {
        **body,
        "vendor_id": vendor_id,
        "method": PaymentMethod(body["method"]),
        "allocations": [Allocation(**part) for part in body.get("allocations", ())],
    }


def _shown(payment_id: int, actor: Actor) -> Payment:
    return selectors.shown(actor).get(pk=payment_id)

"""Orders: the list, one order, and its verbs."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import PolymorphicProxySerializer, extend_schema
from rest_framework.generics import ListAPIView, RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from khaacho import permissions
from khaacho.actors import Actor
from khaacho.api.authentication import caller
from khaacho.api.idempotency import idempotent
from khaacho.api.permissions import IsRetailerOrStaff, IsVendorOrStaff, SignedIn
from khaacho.api.serializers import ready
from khaacho.api.verbs import Body, Verb
from khaacho.exceptions import Invalid, NotFound
from orders import selectors, services
from orders.api.filters import OrderFilter
from orders.api.serializers import (
    ForwardedSerializer,
    HistorySerializer,
    OrderRequestSerializer,
    OrderRowSerializer,
    OrderSerializer,
    QuoteSerializer,
    ReasonSerializer,
)
from orders.enums import PaymentTerms
from orders.models import Order, OrderStatusLog
from orders.services import Line, OrderRequest


def order_request(body: Body, actor: Actor) -> OrderRequest:
    """Return what the body asks for; a retailer asks for itself. Raises Invalid."""
    retailer_id = body.get("retailer_id", actor.retailer_id)
    if retailer_id is None:
        raise Invalid(errors={"retailer_id": ["Say for which retailer."]})
    return OrderRequest(
        retailer_id=retailer_id,
        vendor_id=body["vendor_id"],
        payment_terms=PaymentTerms(body["payment_terms"]),
        notes=body["notes"],
        lines=tuple(Line(**item) for item in body["items"]),
    )


class OrderList(ListAPIView[Order]):
    """Own orders; staff see all."""

    queryset = Order.objects.none()
    serializer_class = OrderRowSerializer
    filterset_class = OrderFilter
    sort_fields = {"created_at": "created_at", "total": "total", "due_amount": "due_amount"}
    default_sort = "-created_at"

    def get_permissions(self) -> list[Any]:
        return [IsRetailerOrStaff() if self.request.method == "POST" else SignedIn()]

    def get_queryset(self) -> QuerySet[Order]:
        return Order.objects.for_user(caller(self.request)).only(*OrderRowSerializer.Meta.fields)

    @extend_schema(request=OrderRequestSerializer, responses={201: OrderSerializer})
    @idempotent(required=True)
    def post(self, request: Request) -> Response:
        """Place an order: prices, stock and credit are fixed, or nothing is."""
        actor = caller(request)
        permissions.require(actor, "orders.place_order")
        body = ready(OrderRequestSerializer).run_validation(request.data)
        order = services.place_order(order_request(body, actor), actor=actor)
        return Response(ready(OrderSerializer).to_representation(order), status=201)


class OrderDetail(RetrieveAPIView[Order]):
    queryset = Order.objects.none()
    serializer_class = OrderSerializer
    lookup_url_kwarg = "order_id"
    filter_backends = []

    def get_queryset(self) -> QuerySet[Order]:
        return selectors.shown(caller(self.request))


class OrderHistory(ListAPIView[OrderStatusLog]):
    """Who changed what when, from the first to the last."""

    queryset = OrderStatusLog.objects.none()
    serializer_class = HistorySerializer
    filter_backends = []

    def get_queryset(self) -> QuerySet[OrderStatusLog]:
        order_id = self.kwargs["order_id"]
        if not Order.objects.for_user(caller(self.request)).filter(pk=order_id).exists():
            raise NotFound
        logs = OrderStatusLog.objects.filter(order_id=order_id).select_related("actor")
        return logs.order_by("sequence", "id")


class Quote(Verb):
    """Prices, availability and credit of an order as they are now; nothing is stored."""

    permission_classes = [IsRetailerOrStaff]
    input_serializer = OrderRequestSerializer
    output_serializer = QuoteSerializer

    def run(self, actor: Actor, data: Body, **route: Any) -> services.Quote:
        return services.quote_order(order_request(data, actor), actor=actor)


class OrderVerb(Verb):
    """A verb on one order; it answers with the page that the verb brought along."""

    permission_classes = [IsVendorOrStaff]
    output_serializer = OrderSerializer


class Accept(OrderVerb):
    staff_permission = "orders.accept_order"

    def run(self, actor: Actor, data: Body, **route: Any) -> Order:
        return services.accept_order(**route, actor=actor)


@extend_schema(
    responses={
        200: PolymorphicProxySerializer(
            component_name="RejectedOrder",
            serializers=[OrderSerializer, ForwardedSerializer],
            resource_type_field_name=None,
        )
    }
)
class Reject(Verb):
    """Decline; the next vendor is asked, and then the order is no longer this vendor's to read."""

    permission_classes = [IsVendorOrStaff]
    staff_permission = "orders.reject_order"
    input_serializer = ReasonSerializer

    def run(self, actor: Actor, data: Body, **route: Any) -> Any:
        order = services.reject_order(**route, reason=data["reason"], actor=actor)
        own = selectors.shown(actor).filter(pk=order.pk).first()
        return OrderSerializer(own).data if own else ForwardedSerializer(order).data


class Pack(OrderVerb):
    staff_permission = "orders.pack_order"

    def run(self, actor: Actor, data: Body, **route: Any) -> Order:
        return services.pack_order(**route, actor=actor)


class Dispatch(OrderVerb):
    staff_permission = "orders.dispatch_order"

    def run(self, actor: Actor, data: Body, **route: Any) -> Order:
        return services.dispatch_order(**route, actor=actor)


class OutForDelivery(OrderVerb):
    staff_permission = "orders.send_out_order"

    def run(self, actor: Actor, data: Body, **route: Any) -> Order:
        return services.send_out_order(**route, actor=actor)


class Deliver(OrderVerb):
    """The shop has the goods: it owes the total, and gets an invoice number."""

    staff_permission = "orders.deliver_order"

    def run(self, actor: Actor, data: Body, **route: Any) -> Order:
        return services.deliver_order(**route, actor=actor)


class Complete(OrderVerb):
    """Close a delivered order."""

    staff_permission = "orders.complete_order"
    permission_classes = [IsRetailerOrStaff]

    def run(self, actor: Actor, data: Body, **route: Any) -> Order:
        return services.complete_order(**route, actor=actor)


class Cancel(OrderVerb):
    """Give an order up: the retailer until dispatch, its vendor and staff until delivery."""

    permission_classes = [SignedIn]
    staff_permission = "orders.cancel_order"
    input_serializer = ReasonSerializer

    def run(self, actor: Actor, data: Body, **route: Any) -> Order:
        return services.cancel_order(**route, reason=data["reason"], actor=actor)

"""A ModelViewSet with page numbers, a user fetched per request, and an order placed through the ORM.

Creating writes the same rows as ours (idempotency key with its answer, order, lines, reservations, a
job for each that follows; the status log by trigger), checks the same in the usual case and gives the
same answer. It knows no other case: no vendor to find, no refusal for the credit desk, no limit of an
account, no approval, and a refusal stays under its key.
"""

import json
from datetime import UTC, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import PageNumberPagination
from rest_framework.permissions import AllowAny
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ModelViewSet

from credit.models import CreditAccount, Retailer
from khaacho import events, jobs
from khaacho.actors import SYSTEM, act
from khaacho.models import IdempotencyKey, Job, User
from khaacho.money import line_amounts
from khaacho.tasks import run_job
from khaacho.tokens import verify
from orders.api.serializers import ItemSerializer, OrderSerializer
from orders.enums import PaymentTerms
from orders.events import OrderPlaced
from orders.models import Order, OrderItem
from vendors.models import VendorProduct


class UserAuthentication(BaseAuthentication):
    """Verify the token and fetch its user, each time, as token authentication usually does."""

    def authenticate(self, request: Request) -> tuple[User, None]:
        actor, _ = verify(request.headers["Authorization"][7:], settings.SECRET_KEY)
        return User.objects.select_related("retailer").get(pk=actor.user_id or 0), None


class OrderRow(serializers.ModelSerializer[Order]):
    """The row that ours shows; the two declared fields would otherwise come in another form."""

    due_amount = serializers.DecimalField(max_digits=14, decimal_places=2)
    created_at = serializers.DateTimeField(default_timezone=UTC)

    class Meta:
        model = Order
        fields = (
            "id",
            "order_number",
            "status",
            "payment_status",
            "total",
            "due_amount",
            "created_at",
        )


class LineBody(serializers.Serializer[Any]):
    product_id = serializers.IntegerField(min_value=1)
    quantity = serializers.IntegerField(min_value=1)


class OrderBody(serializers.Serializer[Any]):
    vendor_id = serializers.IntegerField(min_value=1)
    items = LineBody(many=True)
    payment_terms = serializers.ChoiceField(choices=PaymentTerms.choices)
    notes = serializers.CharField(max_length=500, required=False, allow_blank=True, default="")


class ItemAnswer(serializers.ModelSerializer[OrderItem]):
    class Meta:
        model = OrderItem
        fields = ItemSerializer.Meta.fields


class OrderAnswer(serializers.ModelSerializer[Order]):
    retailer_name = serializers.CharField(source="retailer.shop_name")
    vendor_name = serializers.CharField(source="vendor.business_name")
    items = ItemAnswer(many=True)

    class Meta:
        model = Order
        fields = OrderSerializer.Meta.fields


class Pages(PageNumberPagination):
    page_size = 20


class OrderViewSet(ModelViewSet[Order]):
    serializer_class = OrderRow
    pagination_class = Pages
    authentication_classes = [UserAuthentication]
    permission_classes = [AllowAny]
    renderer_classes = [JSONRenderer]
    filter_backends = ()

    def get_queryset(self) -> QuerySet[Order]:
        return Order.objects.filter(retailer=self.request.user.retailer).order_by(  # type: ignore[union-attr] # authenticated
            "-created_at", "-id"
        )

    @transaction.atomic
    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        act(SYSTEM)
        key, is_new = IdempotencyKey.objects.get_or_create(
            user_id=request.user.pk or 0, key=request.headers["Idempotency-Key"]
        )
        if not is_new:
            return Response(json.loads(key.response or "{}"), status=key.status or 409)
        body = OrderBody(data=request.data)
        body.is_valid(raise_exception=True)
        order = place(request.user, body.validated_data)  # type: ignore[arg-type] # authenticated
        answer = OrderAnswer(order).data
        key.status, key.response = 201, JSONRenderer().render(answer).decode()
        key.save(update_fields=["status", "response"])
        return Response(answer, status=201)


def place(user: User, body: dict[str, Any]) -> Order:
    """Check, reserve and insert as the ORM does it: one row or one table at a time."""
    retailer = Retailer.objects.select_for_update().get(user=user)
    wanted = {item["product_id"]: item["quantity"] for item in body["items"]}
    offers = list(
        VendorProduct.objects.select_for_update(of=("self",))
        .select_related("product", "vendor")
        .filter(vendor_id=body["vendor_id"], product_id__in=wanted, is_available=True)
        .order_by("pk")
    )
    lines = [(offer, wanted[offer.product_id]) for offer in offers]
    amounts = [line_amounts(q, o.vendor_price, o.product.tax_rate) for o, q in lines]
    subtotal = sum((a.net for a in amounts), Decimal(0))
    tax = sum((a.tax for a in amounts), Decimal(0))
    account, _ = CreditAccount.objects.select_for_update().get_or_create(
        retailer=retailer, vendor=offers[0].vendor
    )
    exposure = retailer.outstanding_debt + retailer.reserved_credit + subtotal + tax
    held = Order.objects.owing().filter(
        retailer=retailer, due_date__lt=timezone.localdate() - timedelta(days=30)
    )
    if (
        not user.is_active
        or not retailer.is_approved
        or retailer.is_blocked
        or account.is_frozen
        or exposure > retailer.credit_limit
        or any(o.stock - o.reserved < q for o, q in lines)
        or held.exists()
    ):
        raise ValidationError("refused")
    order = Order.objects.create(
        retailer=retailer,
        vendor=offers[0].vendor,
        payment_terms=body["payment_terms"],
        notes=body["notes"],
        placed_by=user,
        subtotal=subtotal,
        tax_amount=tax,
        total=subtotal + tax,
        agreed_total=subtotal + tax,
        platform_exposure=exposure,
        platform_limit=retailer.credit_limit,
        account_exposure=account.balance + account.reserved + subtotal + tax,
        account_limit=account.credit_limit,
    )
    OrderItem.objects.bulk_create(
        OrderItem(
            order=order,
            offer=offer,
            product=offer.product,
            product_name=offer.product.name,
            sku=offer.product.sku,
            quantity=quantity,
            unit_price=offer.vendor_price,
            tax_rate=offer.product.tax_rate,
            line_total=amount.net,
            tax_amount=amount.tax,
        )
        for (offer, quantity), amount in zip(lines, amounts, strict=True)
    )
    for offer, quantity in lines:
        offer.reserved += quantity
        offer.save(update_fields=["reserved"])
    retailer.reserved_credit += subtotal + tax
    retailer.save(update_fields=["reserved_credit"])
    account.reserved += subtotal + tax
    account.save(update_fields=["reserved"])
    enqueue(order)
    return order


def enqueue(order: Order) -> None:
    """Insert the same jobs as ours and wake a worker for each on commit."""
    work = [jobs.NewJob("orders.route", {"order_id": order.pk}, dedupe_key=f"route:{order.pk}")]
    rows = Job.objects.bulk_create(
        Job(
            queue="order_routing" if new.dedupe_key else "whatsapp",
            kind=new.kind,
            args=new.args,
            reference=f"order:{order.pk}",
            dedupe_key=new.dedupe_key,
        )
        for new in [*work, *events.jobs_of(OrderPlaced(order_id=order.pk))]
    )
    for row in rows:
        transaction.on_commit(partial(run_job.apply_async, (row.pk,), queue=row.queue, retry=False))

"""A ModelViewSet with page numbers, a user fetched per request, and an order placed through the ORM.

It writes the same rows as ours (order, lines, reservations, job; the status log by trigger), without
idempotency, routing or refusals for the credit desk.
"""

from datetime import UTC
from decimal import Decimal
from typing import Any

from django.db import transaction
from django.db.models import QuerySet
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
from khaacho.actors import SYSTEM, act
from khaacho.models import Job, User
from khaacho.money import line_amounts
from khaacho.tokens import read_access_token
from orders.models import Order, OrderItem
from vendors.models import Product, VendorProduct


class UserAuthentication(BaseAuthentication):
    """Fetch the user of the token, as token authentication usually does."""

    def authenticate(self, request: Request) -> tuple[User, None]:
        actor = read_access_token(request.headers["Authorization"][7:])
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
        body: dict[str, Any] = dict(request.data)
        retailer = Retailer.objects.select_for_update().get(user_id=request.user.pk or 0)
        wanted = {item["product_id"]: item["quantity"] for item in body["items"]}
        offers = list(
            VendorProduct.objects.select_for_update(of=("self",))
            .select_related("product", "vendor")
            .filter(vendor_id=body["vendor_id"], product_id__in=wanted)
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
        if exposure > retailer.credit_limit or any(o.stock - o.reserved < q for o, q in lines):
            raise ValidationError("refused")
        order = Order.objects.create(
            retailer=retailer,
            vendor=offers[0].vendor,
            payment_terms="CREDIT",
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
        Job.objects.create(
            queue="order_routing",
            kind="orders.route",
            args={"order_id": order.pk},
            reference=f"order:{order.pk}",
            dedupe_key=f"route:{order.pk}",
        )
        return Response(OrderRow(order).data, status=201)


class OfferRow(serializers.ModelSerializer[VendorProduct]):
    class Meta:
        model = VendorProduct
        fields = ("id", "vendor", "vendor_price", "stock")


class ProductRow(serializers.ModelSerializer[Product]):
    offers = OfferRow(many=True)

    class Meta:
        model = Product
        fields = ("id", "sku", "name", "name_ne", "brand", "category", "unit", "tax_rate", "offers")


class ProductViewSet(ModelViewSet[Product]):
    """The catalogue with each product's offers, fetched with the page."""

    serializer_class = ProductRow
    pagination_class = Pages
    authentication_classes = [UserAuthentication]
    permission_classes = [AllowAny]
    renderer_classes = [JSONRenderer]
    filter_backends = ()
    queryset = (
        Product.objects.filter(is_active=True, deleted_at=None)
        .prefetch_related("offers")
        .order_by("-id")
    )

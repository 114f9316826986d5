"""Orders and what belongs to them. An order changes by its verbs alone."""

from collections.abc import Callable

from django.contrib import admin
from django.db.models import QuerySet

from credit.models import Retailer
from khaacho.adminsite import (
    KhaachoModelAdmin,
    Moment,
    Panel,
    add_panel,
    by_code,
    by_number,
    by_phone,
    computed,
    narrowed,
    npr,
    pretty,
    sections,
)
from khaacho.adminsite.columns import EMPTY
from khaacho.adminsite.timeline import LENGTH, name_of
from orders.admin.columns import against
from orders.admin.invoices import InvoicedAdmin, invoice_link
from orders.admin.order_verbs import ORDER_VERBS
from orders.enums import AcceptanceStatus, OrderStatus, PaymentStatus
from orders.models import (
    Order,
    OrderItem,
    OrderQuerySet,
    OrderStatusLog,
    VendorOrderAcceptance,
)
from vendors.models import Vendor

S = OrderStatus


@computed("platform credit when placed")
def _platform_credit(order: Order) -> str:
    return against(order.platform_exposure, order.platform_limit)


@computed("account credit when placed")
def _account_credit(order: Order) -> str:
    return against(order.account_exposure, order.account_limit)


@computed("approval")
def _approval(order: Order) -> str:
    approval = order.credit_approval
    return f"{approval.approved_by}: {approval.reason}" if approval else EMPTY


ORDER_PANELS = (
    Panel(
        title="Items",
        model=OrderItem,
        rows=lambda order: OrderItem.objects.filter(order=order).order_by("pk"),
        columns=(
            "sku",
            "product_name",
            "quantity",
            npr("unit_price"),
            "tax_rate",
            npr("line_total"),
            npr("tax_amount"),
        ),
        more="order__id__exact",
        limit=200,
    ),
    Panel(
        title="Acceptances",
        model=VendorOrderAcceptance,
        rows=lambda order: (
            VendorOrderAcceptance.objects.filter(order=order)
            .select_related("vendor", "answered_by")
            .defer("candidates")
            .order_by("-pk")
        ),
        columns=(
            "created_at",
            "vendor",
            "status",
            "score",
            "deadline",
            "answered_at",
            "answered_by",
            "reason",
        ),
    ),
)


def _with(payment_status: str) -> Callable[[OrderQuerySet], OrderQuerySet]:
    """Name every status too: the index by both begins with it, and is read in nine short pieces."""
    return lambda orders: orders.filter(status__in=S.values, payment_status=payment_status)


BY_PAYMENT_STATUS = {value: (label, _with(value)) for value, label in PaymentStatus.choices}


@admin.register(Order)
class OrderAdmin(InvoicedAdmin):
    entity_type = "order"
    amount = "total"
    list_display = (
        "order_number",
        "created_at",
        "status",
        "retailer",
        npr("total"),
        npr("due_amount", "due"),
        "payment_status",
        "vendor",
        "due_date",
        "payment_terms",
    )
    list_select_related = ("retailer", "vendor")
    list_filter = (
        narrowed("board", active=("Active", OrderQuerySet.open)),
        "status",
        narrowed("payment status", "payment_status__exact", **BY_PAYMENT_STATUS),
        "created_at",
    )
    ordering = ("-created_at",)
    sortable_by = ("order_number", "created_at")
    searches = (
        by_number("order_number", "ORD"),
        by_code("retailer__code", "RTL", "retailer"),
        by_code("vendor__code", "VND", "vendor"),
        by_phone("retailer__user__phone"),
    )
    fieldsets = sections(
        (
            None,
            (
                ("order_number", "status"),
                ("retailer", "vendor"),
                ("source", "placed_by"),
                "vendor_named",
                "notes",
                "cancel_reason",
            ),
        ),
        (
            "Money",
            (
                (npr("subtotal"), npr("tax_amount")),
                (npr("total"), npr("agreed_total")),
                (npr("paid_amount"), npr("due_amount")),
                ("payment_terms", "payment_status"),
                ("due_date", "invoice_number", invoice_link),
                "ledger_entry",
            ),
        ),
        ("Credit", (_platform_credit, _account_credit, _approval)),
        (
            "Times",
            (
                "created_at",
                "accepted_at",
                "packed_at",
                "dispatched_at",
                "out_for_delivery_at",
                "delivered_at",
                "completed_at",
                "cancelled_at",
            ),
        ),
    )
    verbs = ORDER_VERBS
    panels = ORDER_PANELS

    def timeline(self, record: Order) -> list[Moment]:
        log = OrderStatusLog.objects.filter(order=record).select_related("actor")
        moves = [
            Moment(
                at=entry.created_at,
                who=name_of(entry.actor),
                what=S(entry.to_status).label,
                reason=entry.reason,
            )
            for entry in log.order_by("-sequence")[:LENGTH]
        ]
        return [*super().timeline(record), *moves]


@admin.register(OrderItem)
class OrderItemAdmin(KhaachoModelAdmin):
    list_display = (
        "id",
        "order",
        "sku",
        "product_name",
        "quantity",
        npr("unit_price"),
        npr("line_total"),
    )
    list_select_related = ("order",)
    searches = (by_number("order__order_number", "ORD"),)
    fieldsets = sections(
        (None, ("order", "product", "offer", "product_name", "sku")),
        (
            "Amounts",
            (
                "quantity",
                npr("unit_price"),
                "tax_rate",
                npr("line_total"),
                npr("tax_amount"),
            ),
        ),
    )


@admin.register(OrderStatusLog)
class OrderStatusLogAdmin(KhaachoModelAdmin):
    list_display = ("created_at", "order", "from_status", "to_status", "actor", "reason")
    list_select_related = ("order", "actor")
    searches = (by_number("order__order_number", "ORD"),)
    fieldsets = sections(
        (None, ("order", "sequence", "from_status", "to_status", "actor", "reason")),
        ("Dates", ("created_at",)),
    )


def _waiting(acceptances: QuerySet[VendorOrderAcceptance]) -> QuerySet[VendorOrderAcceptance]:
    return acceptances.filter(status=AcceptanceStatus.PENDING)


@admin.register(VendorOrderAcceptance)
class AcceptanceAdmin(KhaachoModelAdmin):
    list_display = (
        "created_at",
        "order",
        "vendor",
        "status",
        "score",
        "deadline",
        "answered_at",
        "answered_by",
    )
    list_select_related = ("order", "vendor", "answered_by")
    list_filter = (narrowed("status", "status__exact", PENDING=("Waiting", _waiting)),)
    deferred = ("candidates",)
    searches = (
        by_number("order__order_number", "ORD"),
        by_code("vendor__code", "VND", "vendor"),
    )
    fieldsets = sections(
        (None, ("order", "vendor", "status", "reason")),
        ("Question", ("created_at", "deadline", "score", pretty("candidates"))),
        ("Answer", ("answered_at", "answered_by")),
    )


ORDER_COLUMNS = ("order_number", "created_at", "status", "payment_status", npr("total"))
add_panel(
    Retailer,
    Panel(
        title="Recent orders",
        model=Order,
        rows=lambda shop: (
            Order.objects.filter(retailer=shop)
            .select_related("vendor")
            .order_by("-created_at", "-pk")
        ),
        columns=(*ORDER_COLUMNS, npr("due_amount", "due"), "vendor"),
        more="retailer__id__exact",
        limit=10,
    ),
)
add_panel(
    Vendor,
    Panel(
        title="Recent orders",
        model=Order,
        rows=lambda vendor: (
            Order.objects.filter(vendor=vendor).select_related("retailer").order_by("-pk")
        ),
        columns=(*ORDER_COLUMNS, "retailer"),
        more="vendor__id__exact",
        limit=10,
    ),
)

"""The invoice of a delivered order: its figures, from which orders/invoice_sheet.py draws the PDF on demand.

Nothing is stored twice: figures, number and dates never change after delivery, and what is paid is
as it is when printed. Names and addresses of the parties, and products' Nepali names, are today's.
"""

import re
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone

from credit.models import Retailer
from khaacho.exceptions import Conflict, NotFound
from khaacho.lettering import one_line
from khaacho.money import ZERO
from orders.enums import PaymentTerms
from orders.models import Order, OrderItem
from vendors.models import Vendor

CONTENT_TYPE = "application/pdf"


class NotInvoiced(Conflict):
    """The order has no invoice: it gets one when it is delivered."""

    code = "not_invoiced"


@dataclass(frozen=True)
class Party:
    """A wholesaler or a shop as an invoice names it; what is not known is empty."""

    name: str
    name_ne: str
    code: str
    pan: str
    address: str


@dataclass(frozen=True)
class InvoiceLine:
    """One line; price and amount in NPR without VAT, quantity in packs, `tax_rate` in per cent."""

    number: int
    sku: str
    name: str
    name_ne: str
    quantity: int
    unit_price: Decimal
    tax_rate: Decimal
    amount: Decimal


@dataclass(frozen=True)
class InvoiceView:
    """All that an invoice says; amounts in NPR. `paid` and `due` are as of now."""

    invoice_number: str
    order_number: str
    fiscal_year: str
    delivered_at: datetime
    due_date: date
    terms: str
    vendor: Party
    shop: Party
    lines: tuple[InvoiceLine, ...]
    subtotal: Decimal
    taxable: Decimal
    tax_amount: Decimal
    total: Decimal
    paid: Decimal
    due: Decimal

    @property
    def delivered_on(self) -> date:
        """The day of delivery in Kathmandu."""
        return timezone.localtime(self.delivered_at).date()

    @property
    def file_name(self) -> str:
        return f"invoice-{re.sub('[^A-Za-z0-9]+', '-', self.invoice_number)}.pdf"


def render(order_id: int) -> bytes:
    """Return the invoice as an A4 PDF; the same rows give the same bytes. Two statements.

    Raises NotFound, and NotInvoiced before delivery. For whoever may see it, see `find`.
    """
    return _drawn(find(Order.objects.all(), order_id))


def respond(orders: QuerySet[Order], order_id: int) -> HttpResponse:
    """Answer with the invoice of one of `orders`, to be shown and not kept. Raises as `find`."""
    view = find(orders, order_id)
    headers = {
        "Content-Disposition": f'inline; filename="{view.file_name}"',
        "Cache-Control": "private, no-store",
    }
    return HttpResponse(_drawn(view), content_type=CONTENT_TYPE, headers=headers)


def _drawn(view: InvoiceView) -> bytes:
    # What draws costs a process half a second and 30 MB, and most never draw.
    from orders.invoice_sheet import draw  # noqa: PLC0415

    return draw(view)


def find(orders: QuerySet[Order], order_id: int) -> InvoiceView:
    """Return the invoice of one of `orders`, those that the reader may see. Two statements.

    Raises NotFound, and NotInvoiced before delivery.
    """
    order = orders.select_related("vendor", "retailer").filter(pk=order_id).first()
    if order is None:
        raise NotFound
    number, delivered_at, due_date = order.invoice_number, order.delivered_at, order.due_date
    if number is None or delivered_at is None or due_date is None:
        raise NotInvoiced
    lines = _lines(order)
    return InvoiceView(
        invoice_number=number,
        order_number=order.order_number,
        fiscal_year="/".join(number.split("/")[1:-1]),
        delivered_at=delivered_at,
        due_date=due_date,
        terms=_terms(order, (due_date - timezone.localtime(delivered_at).date()).days),
        vendor=_party(order.vendor, order.vendor.business_name, order.vendor.business_name_ne),
        shop=_party(order.retailer, order.retailer.shop_name, order.retailer.shop_name_ne),
        lines=lines,
        subtotal=order.subtotal,
        taxable=sum((line.amount for line in lines if line.tax_rate), ZERO),
        tax_amount=order.tax_amount,
        total=order.total,
        paid=order.paid_amount,
        due=order.due_amount,
    )


def _lines(order: Order) -> tuple[InvoiceLine, ...]:
    items = OrderItem.objects.filter(order=order).select_related("product").order_by("id")
    columns = items.only(
        "sku",
        "product_name",
        "quantity",
        "unit_price",
        "tax_rate",
        "line_total",
        "product__name_ne",
    )
    return tuple(
        InvoiceLine(
            number=number,
            sku=one_line(item.sku),
            name=one_line(item.product_name),
            name_ne=one_line(item.product.name_ne),
            quantity=item.quantity,
            unit_price=item.unit_price,
            tax_rate=item.tax_rate,
            amount=item.line_total,
        )
        for number, item in enumerate(columns, start=1)
    )


def _party(who: Vendor | Retailer, name: str, name_ne: str) -> Party:
    places = (who.address, who.municipality, who.district, who.province)
    return Party(
        name=one_line(name),
        name_ne=one_line(name_ne),
        code=who.code,
        pan=who.pan_number,
        address=one_line(", ".join(place for place in places if place.strip())),
    )


def _terms(order: Order, days: int) -> str:
    if order.payment_terms == PaymentTerms.CASH:
        return "Cash on delivery"
    return f"Credit, {days} day{'' if days == 1 else 's'}"


# fmt: off
ONES = [
    "Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten", "Eleven",
    "Twelve", "Thirteen", "Fourteen", "Fifteen", "Sixteen", "Seventeen", "Eighteen", "Nineteen",
]
TENS = ["", "", "Twenty", "Thirty", "Forty", "Fifty", "Sixty", "Seventy", "Eighty", "Ninety"]
# fmt: on
SCALES = ((10_000_000, "Crore"), (100_000, "Lakh"), (1_000, "Thousand"), (100, "Hundred"))


def amount_in_words(amount: Decimal) -> str:
    """Return an amount of NPR as a cheque says it: `Rupees One Lakh Five and Paisa Fifty Only`.

    Raises ValueError for a negative amount or a part of a paisa.
    """
    paisa = amount * 100
    if amount < 0 or paisa != int(paisa):
        raise ValueError(f"not an amount that can be paid: {amount}")
    whole, part = divmod(int(paisa), 100)
    rest = f" and Paisa {_words(part)}" if part else ""
    return f"Rupees {_words(whole)}{rest} Only"


def _words(number: int) -> str:
    for scale, name in SCALES:
        if number >= scale:
            count, rest = divmod(number, scale)
            return f"{_words(count)} {name}" + (f" {_words(rest)}" if rest else "")
    if number < 20:
        return ONES[number]
    return TENS[number // 10] + (f"-{ONES[number % 10]}" if number % 10 else "")

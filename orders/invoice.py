"""The invoice of a delivered order: its figures, and the PDF drawn from them on demand.

Nothing is stored twice: figures, number and dates never change after delivery, and what is paid is
as it is when printed. Names and addresses of the parties, and products' Nepali names, are today's.
"""

import re
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from django.db.models import QuerySet
from django.http import HttpResponse
from django.utils import timezone
from fpdf.enums import Align

from credit.models import Retailer
from khaacho.exceptions import Conflict, NotFound
from khaacho.money import ZERO, figure, format_npr
from khaacho.sheet import MARGIN, PAD, SMALL, WIDTH, Sheet, one_line
from khaacho.sheet_table import Column, Table
from orders.enums import PaymentTerms
from orders.models import Order, OrderItem
from vendors.models import Vendor

CONTENT_TYPE = "application/pdf"
TITLE = "Tax Invoice / कर बीजक"


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
    return draw(find(Order.objects.all(), order_id))


def respond(orders: QuerySet[Order], order_id: int) -> HttpResponse:
    """Answer with the invoice of one of `orders`, to be shown and not kept. Raises as `find`."""
    view = find(orders, order_id)
    headers = {
        "Content-Disposition": f'inline; filename="{view.file_name}"',
        "Cache-Control": "private, no-store",
    }
    return HttpResponse(draw(view), content_type=CONTENT_TYPE, headers=headers)


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


ROW, BODY, NAME, LARGE = 8.5, 9.0, 11.0, 16.0  # points
COLUMNS = (
    Column("No.", 8.0, Align.R),
    Column("SKU", 26.0),
    Column("Product", 60.0),
    Column("Quantity", 17.0, Align.R),
    Column("Unit price", 26.0, Align.R),
    Column("VAT %", 13.0, Align.R),
    Column("Amount", 30.0, Align.R),
)
WORDS, LABELS, FIGURES = 92.0, 38.0, 50.0  # millimetres


def draw(view: InvoiceView) -> bytes:
    """Return the PDF of an invoice; the same view gives the same bytes."""
    sheet = Sheet(
        title=f"Tax invoice {view.invoice_number}",
        author=view.vendor.name,
        subject=f"Order {view.order_number}",
        created_at=view.delivered_at,
        foot=f"{view.vendor.code} to {view.shop.code} · Invoice {view.invoice_number}",
    )
    with closing(sheet):
        sheet.add_page()
        y = _draw_facts(sheet, _draw_parties(sheet, view), view)
        _draw_lines(sheet, y, view)
        _draw_totals(sheet, view)
        return bytes(sheet.output())


def _draw_parties(sheet: Sheet, view: InvoiceView) -> float:
    """Draw the title, and the parties side by side; return where they end."""
    sheet.use(LARGE, bold=True)
    y = sheet.stack(MARGIN, MARGIN, WIDTH, [TITLE]) + 4
    half = WIDTH / 2
    left = _draw_party(sheet, MARGIN, y, half - 6, "From", view.vendor)
    right = _draw_party(sheet, MARGIN + half, y, half, "To", view.shop)
    return max(left, right) + 4


def _draw_party(sheet: Sheet, x: float, y: float, width: float, label: str, party: Party) -> float:
    """Draw a party's name and address; return where it ends."""
    sheet.use(SMALL, quiet=True)
    y = sheet.stack(x, y, width, [label])
    sheet.use(NAME, bold=True)
    y = sheet.stack(
        x, y, width, [*sheet.wrap(party.name, width), *sheet.wrap(party.name_ne, width)]
    )
    sheet.use(BODY)
    number = f"PAN/VAT number {party.pan}" if party.pan else ""
    lines = [
        line for text in (party.address, number, party.code) for line in sheet.wrap(text, width)
    ]
    return sheet.stack(x, y, width, lines)


def _draw_facts(sheet: Sheet, y: float, view: InvoiceView) -> float:
    """Draw numbers and dates between two rules; return where they end."""
    facts = (
        ("Invoice number", view.invoice_number, 48.0),
        ("Order number", view.order_number, 34.0),
        ("Fiscal year", view.fiscal_year, 20.0),
        ("Delivered", view.delivered_on.isoformat(), 23.0),
        ("Due", view.due_date.isoformat(), 23.0),
        ("Terms", view.terms, 32.0),
    )
    sheet.line(MARGIN, y, MARGIN + WIDTH, y)
    x = MARGIN
    ends = []
    for label, value, width in facts:
        sheet.use(SMALL, quiet=True)
        below = sheet.stack(x, y + 2, width, [label])
        sheet.use(BODY)
        ends.append(sheet.stack(x, below, width, sheet.wrap(value, width - 2)))
        x += width
    return max(ends) + 5


def _draw_lines(sheet: Sheet, y: float, view: InvoiceView) -> None:
    sheet.set_y(y)
    table = Table(sheet, COLUMNS, size=ROW)
    table.draw_headings()
    for line in view.lines:
        table.draw_row(_texts(line), beneath={2: line.name_ne})


def _texts(line: InvoiceLine) -> tuple[str, ...]:
    return (
        str(line.number),
        line.sku,
        line.name,
        str(line.quantity),
        figure(line.unit_price),
        f"{line.tax_rate:f}".rstrip("0").rstrip(".") if line.tax_rate else "0",
        figure(line.amount),
    )


def _draw_totals(sheet: Sheet, view: InvoiceView) -> None:
    figures = (
        ("Subtotal", view.subtotal, False),
        ("of which taxable", view.taxable, False),
        ("VAT", view.tax_amount, False),
        ("Total", view.total, True),
        ("Paid when printed", view.paid, False),
        ("Due when printed", view.due, True),
    )
    step = 6.0
    if sheet.will_page_break(step * len(figures) + 4):
        sheet.add_page()
    top = y = sheet.get_y() + 4
    for label, amount, bold in figures:
        sheet.use(BODY, bold=bold)
        sheet.put(MARGIN + WORDS, y, LABELS, label)
        sheet.put(MARGIN + WORDS + LABELS, y, FIGURES - PAD, format_npr(amount), Align.R)
        y += step
    sheet.use(SMALL, quiet=True)
    y = sheet.stack(MARGIN + PAD, top, WORDS, ["Total in words"])
    sheet.use(BODY)
    sheet.stack(MARGIN + PAD, y, WORDS, sheet.wrap(amount_in_words(view.total), WORDS - 10))

"""A statement on paper: what was owed, each entry with the balance after it, what is owed; both scripts."""

from collections.abc import Iterator
from datetime import datetime

from django.utils import timezone
from fpdf.enums import Align

from credit.models import CreditLedger
from credit.selectors import Statement
from khaacho.lettering import one_line
from khaacho.listing_sheet import Line, Listing
from khaacho.listing_sheet import draw as draw_listing
from khaacho.money import ZERO, figure, format_npr
from khaacho.sheet_table import Column

COLUMNS = (
    Column("Date", 17),
    Column("Entry", 27),
    Column("What", 27),
    Column("Wholesaler", 33),
    Column("Due", 17),
    Column("Debit", 20, Align.R),
    Column("Credit", 20, Align.R),
    Column("Balance", 22, Align.R),
)
REFERENCE, WHOLESALER = 2, 3  # what stands beneath in these columns
SIZE = 7.5  # points


def draw(statement: Statement, drawn_at: datetime) -> bytes:
    """Return the PDF of a statement; amounts in NPR, a positive balance is what the shop owes."""
    shop = statement.retailer
    places = (shop.address, shop.municipality, shop.district)
    period = f"{statement.start} to {statement.end}"
    listing = Listing(
        title="Statement of account",
        title_ne="खाता विवरण",
        foot=f"{shop.code} · {period} · amounts in NPR",
        facts=[
            ("Shop", one_line(f"{shop.shop_name} {shop.shop_name_ne}")),
            ("Address", one_line(", ".join(place for place in places if place.strip()))),
            ("Code", shop.code),
            ("PAN/VAT number", shop.pan_number or "–"),
            ("Period", period),
            ("Opening balance", format_npr(statement.opening_balance)),
            ("Closing balance", format_npr(statement.closing_balance)),
            ("Drawn", f"{timezone.localtime(drawn_at):%Y-%m-%d %H:%M}"),
        ],
        columns=COLUMNS,
        created_at=drawn_at,
        subject=f"{shop.code}, {period}",
        size=SIZE,
    )
    return draw_listing(listing, _lines(statement))


def _lines(statement: Statement) -> Iterator[Line]:
    blank = [""] * 5
    opening = figure(statement.opening_balance)
    yield Line([str(statement.start), "Opening balance", *blank, opening], is_bold=True)
    for entry in statement.entries:
        yield _line(entry)
    sums = [figure(statement.total_debits), figure(statement.total_credits)]
    closing = [str(statement.end), "Closing balance", *blank[:3], *sums]
    yield Line([*closing, figure(statement.closing_balance)], is_bold=True)


def _line(entry: CreditLedger) -> Line:
    balance = entry.balance  # type: ignore[attr-defined] # annotated by the selector
    vendor = entry.vendor
    amounts = [figure(abs(entry.amount)), ""]
    texts = [
        str(timezone.localtime(entry.created_at).date()),
        entry.entry_number,
        entry.get_transaction_type_display(),
        one_line(vendor.business_name),
        str(entry.due_date or ""),
        *(amounts if entry.amount > ZERO else amounts[::-1]),
        figure(balance),
    ]
    beneath = {REFERENCE: one_line(entry.reference), WHOLESALER: one_line(vendor.business_name_ne)}
    return Line(texts, {column: text for column, text in beneath.items() if text})

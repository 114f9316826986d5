"""An invoice on paper, A4, in both scripts."""

from contextlib import closing

from fpdf.enums import Align

from khaacho.money import figure, format_npr
from khaacho.sheet import MARGIN, PAD, SMALL, WIDTH, Sheet
from khaacho.sheet_table import Column, Table
from orders.invoice import InvoiceLine, InvoiceView, Party, amount_in_words

TITLE = "Tax Invoice / कर बीजक"
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

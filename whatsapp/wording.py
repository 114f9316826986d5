"""Orders, quotes, questions and refusals in a person's language. Pure: whoever calls has read the rows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from django.conf import settings

from credit.models import Retailer
from khaacho.exceptions import KhaachoError
from khaacho.money import ZERO, format_npr
from orders.selectors import Basket
from payments.dunning import Level
from payments.services import NoticeLine
from vendors.models import Vendor
from whatsapp.parsing import Question, Trouble
from whatsapp.texts import NEPALI, TEXTS, say

MAX_LINES_SHOWN = 30
MAX_WORDS_QUOTED = 40  # characters of what somebody wrote, when it is said back


@dataclass(frozen=True)
class PricedLine:
    """One line for people: amounts are NPR without VAT."""

    quantity: int
    sku: str
    name: str
    unit_price: Decimal
    net: Decimal


def basket_lines(basket: Basket) -> list[PricedLine]:
    return [
        PricedLine(line.quantity, line.sku, line.product_name, line.unit_price, line.amounts.net)
        for line in basket.lines
    ]


def bill(
    language: str, lines: Sequence[PricedLine], *, tax_amount: Decimal, total: Decimal
) -> list[str]:
    """Return the lines with their prices, then VAT and total."""
    shown = [
        say(
            language,
            "line",
            quantity=line.quantity,
            sku=line.sku,
            name=line.name,
            price=f"{line.unit_price:,.2f}",
            net=f"{line.net:,.2f}",
        )
        for line in lines
    ]
    return [
        *_cut(language, shown),
        say(language, "vat", amount=format_npr(tax_amount)),
        say(language, "total", amount=format_npr(total)),
    ]


def _cut(language: str, rows: Sequence[str]) -> list[str]:
    if len(rows) <= MAX_LINES_SHOWN:
        return list(rows)
    more = say(language, "more_lines", count=len(rows) - MAX_LINES_SHOWN)
    return [*rows[:MAX_LINES_SHOWN], more]


@dataclass(frozen=True)
class OutOfRange:
    """A line whose quantity the product does not allow; packs."""

    text: str
    sku: str
    minimum: int
    maximum: int


def questions(
    language: str,
    asked: Iterable[Question | OutOfRange],
    suggestions: Mapping[str, Sequence[str]],
) -> list[str]:
    """Return a heading and one line per piece that was not understood; empty without any."""
    rows = [_question(language, question, suggestions) for question in asked]
    return [say(language, "questions_heading"), *_cut(language, rows)] if rows else []


def _question(
    language: str, asked: Question | OutOfRange, suggestions: Mapping[str, Sequence[str]]
) -> str:
    text = shortened(asked.text)
    if isinstance(asked, OutOfRange):
        limits = {"minimum": asked.minimum, "maximum": asked.maximum}
        return say(language, "question_range", text=text, sku=asked.sku, **limits)
    said = say(language, f"question_{asked.trouble}", text=text, sku=asked.sku)
    if asked.trouble == Trouble.UNKNOWN and (skus := suggestions.get(asked.text)):
        said += say(language, "question_suggestions", skus=", ".join(skus))
    return said


def shortened(text: str) -> str:
    return text if len(text) <= MAX_WORDS_QUOTED else f"{text[:MAX_WORDS_QUOTED]}…"


def refusal(language: str, error: KhaachoError, skus: Mapping[int, str]) -> list[str]:
    """Return why something was refused, with the numbers, a line of its own per product concerned."""
    name = f"refused_{error.code}"
    if name not in TEXTS:
        return [say(language, "refused_otherwise", message=error.message)]
    amounts = {k: format_npr(v) for k, v in error.extra.items() if isinstance(v, Decimal)}
    said = [say(language, name, days=settings.CREDIT_HOLD_DAYS_LATE, **amounts)]
    if f"{name}_line" in TEXTS:
        said += [
            say(language, f"{name}_line", **line, sku=skus.get(line["product_id"], ""))
            for line in concerned(error)
        ]
    return said


def concerned(error: KhaachoError) -> list[dict[str, Any]]:
    """The lines that a refusal names, each with its `product_id`."""
    lines = error.extra.get("lines")
    return lines if isinstance(lines, list) else []


def vendor_name(vendor: Vendor, language: str) -> str:
    return (language == NEPALI and vendor.business_name_ne) or vendor.business_name


def shop_name(shop: Retailer, language: str) -> str:
    return (language == NEPALI and shop.shop_name_ne) or shop.shop_name


def reminder(language: str, shop: str, lines: Sequence[NoticeLine]) -> str:
    """Return one message about all lines: what, how much, since when, and what to do.

    The highest level decides how firmly it is said. Amounts in NPR, days of the Gregorian calendar.
    """
    level = max((line.level for line in lines), default=Level.COURTESY).name.lower()
    total = sum((line.amount for line in lines), ZERO)
    rows = [
        say(language, f"reminder_{level}", shop=shop),
        *_cut(language, [_due(language, line) for line in lines]),
        say(language, "reminder_total", amount=format_npr(total)),
        say(language, f"reminder_{level}_ask", days=settings.CREDIT_HOLD_DAYS_LATE),
        say(language, "reminder_reply"),
    ]
    return "\n".join(rows)


def _due(language: str, line: NoticeLine) -> str:
    vendor = (language == NEPALI and line.vendor_name_ne) or line.vendor_name
    if line.late > 0:
        when = "reminder_late"
    else:
        when = "reminder_ahead" if line.late else "reminder_due_today"
    return say(
        language,
        when,
        invoice=line.invoice_number,
        vendor=vendor,
        amount=format_npr(line.amount),
        date=line.due_date,
        days=abs(line.late),
    )

"""Nepalese rupees (NPR): Decimal with two places, rounded once per line, half up."""

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

PAISA = Decimal("0.01")
ZERO = Decimal("0.00")


def round_money(amount: Decimal) -> Decimal:
    """Round an amount in NPR to paisa, half up."""
    return amount.quantize(PAISA, rounding=ROUND_HALF_UP)


@dataclass(frozen=True)
class LineAmounts:
    """One line's amounts in NPR: `net` without VAT, `tax`, and their sum `gross`."""

    net: Decimal
    tax: Decimal

    @property
    def gross(self) -> Decimal:
        return self.net + self.tax


def line_amounts(quantity: int, unit_price: Decimal, tax_rate: Decimal | int) -> LineAmounts:
    """Return the amounts of `quantity` pieces at `unit_price` NPR with `tax_rate` per cent of VAT."""
    net = round_money(quantity * unit_price)
    return LineAmounts(net=net, tax=round_money(net * tax_rate / 100))


def format_npr(amount: Decimal) -> str:
    """Return an amount as people in Nepal write it: `NPR 4,12,300.00`."""
    text = figure(amount)
    return f"-NPR {text[1:]}" if text.startswith("-") else f"NPR {text}"


def figure(amount: Decimal) -> str:
    """Return an amount as a table in NPR shows it: `4,12,300.00`."""
    rounded = round_money(amount)
    sign = "-" if rounded < 0 else ""
    whole, paisa = f"{abs(rounded):.2f}".split(".")
    return f"{sign}{lakh(int(whole))}.{paisa}"


def lakh(number: int) -> str:
    """Return a whole number, not negative, grouped as in Nepal: `10,00,000`."""
    digits = str(number)
    head, tail = digits[:-3], digits[-3:]
    groups: list[str] = []
    while head:
        groups.insert(0, head[-2:])
        head = head[:-2]
    return ",".join([*groups, tail])

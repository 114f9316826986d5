"""What a column of a report holds, and how it is said in text."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from khaacho.money import figure, lakh
from khaacho.spreadsheets import neutral_sql


class Form(StrEnum):
    """TEXT of people, a CODE or a WORD of ours, NPR, a COUNT, a SHARE in per cent, a DAY, YES or no."""

    TEXT = "text"
    CODE = "code"
    WORD = "word"
    NPR = "npr"
    COUNT = "count"
    SHARE = "share"
    DAY = "day"
    YES = "yes"


NUMBERS = (Form.NPR, Form.COUNT, Form.SHARE)
# COPY's text of a value; formulas are neutralised, numbers are left to the spreadsheet.
_CSV = {
    Form.NPR: "{}::numeric(20,2)",
    Form.SHARE: "round({}, 2)",
    Form.YES: "CASE WHEN {} THEN 'yes' ELSE 'no' END",
}


@dataclass(frozen=True)
class Column:
    """One column. `width` is relative. On paper a column `beneath` another shares its cell.

    `is_added` puts its sum below the table.
    """

    name: str
    label: str
    form: Form = Form.TEXT
    width: float = 10
    beneath: str = ""
    is_added: bool = False

    def csv_sql(self) -> str:
        if self.form == Form.TEXT:
            return f"{neutral_sql(self.name)} AS {self.name}"
        return f"{_CSV.get(self.form, '{}').format(self.name)} AS {self.name}"


def npr(name: str, label: str, width: float = 12.5, *, is_added: bool = True) -> Column:
    return Column(name, label, Form.NPR, width, is_added=is_added)


def count(name: str, label: str, width: float = 7, *, is_added: bool = True) -> Column:
    return Column(name, label, Form.COUNT, width, is_added=is_added)


def share(name: str, label: str, width: float = 7) -> Column:
    return Column(name, label, Form.SHARE, width)


def shop() -> tuple[Column, ...]:
    """Return the columns that name a retailer."""
    return (
        Column("retailer_code", "Retailer", Form.CODE, 10),
        Column("retailer_name", "Shop", width=16),
        Column("retailer_name_ne", "Shop (Nepali)", width=18, beneath="retailer_name"),
        Column("district", "District", width=9),
    )


def wholesaler() -> tuple[Column, ...]:
    """Return the columns that name a vendor."""
    return (
        Column("vendor_code", "Vendor", Form.CODE, 10),
        Column("vendor_name", "Wholesaler", width=16),
        Column("vendor_name_ne", "Wholesaler (Nepali)", width=18, beneath="vendor_name"),
    )


def said(value: Any, form: Form) -> str:
    """Return a value as people read it; nothing for NULL."""
    if value is None:
        return ""
    if form == Form.NPR:
        return figure(value)
    if form == Form.COUNT:
        return f"-{lakh(-value)}" if value < 0 else lakh(int(value))
    if form == Form.SHARE:
        return f"{value:.1f}"
    if form == Form.YES:
        return "yes" if value else ""
    if form == Form.WORD:
        return str(value).replace("_", " ").capitalize()
    return str(value)


def as_json(value: Any, form: Form) -> Any:
    """Return a value as the API says it: money and shares as text."""
    if value is None:
        return None
    if form in (Form.NPR, Form.SHARE):
        return f"{value:.2f}"
    if form == Form.COUNT:
        return int(value)
    return value.isoformat() if isinstance(value, date) else value


class Sums:
    """Totals of the columns that are added up, row by row."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._places = [n for n, column in enumerate(columns) if column.is_added]
        self._columns = columns
        self._sums = dict.fromkeys(self._places, Decimal(0))

    def add(self, row: Sequence[Any]) -> None:
        for n in self._places:
            self._sums[n] += row[n] or 0

    def get(self, place: int) -> Decimal | None:
        """Return the sum of a column by its place; None for one that is not added up."""
        return self._sums.get(place)

    def as_json(self) -> dict[str, Any]:
        return {
            self._columns[n].name: as_json(total, self._columns[n].form)
            for n, total in self._sums.items()
        }

"""Reading a catalogue from CSV. Pure: rows in, products and errors out; nothing is stored here.

Columns (only `sku`, `name` and `category` are required; a missing column takes the default):

    sku            text, at most 40     the natural key: the same SKU is the same product
    name           text, at most 200
    name_ne        text                 the name in Devanagari
    aliases        text                 other words, separated by |
    brand, category, sub_category, unit, pack_size    text
    tax_rate       per cent, 0-100      default 13
    min_quantity   packs, at least 1    default 1
    max_quantity   packs                default 1000

`columns` maps a field to another header, or to a template over headers: `{type} {package_size}`.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal, InvalidOperation


@dataclass(frozen=True, kw_only=True)
class CatalogueRow:
    """One product as a catalogue describes it; quantities are packs, `tax_rate` is per cent."""

    sku: str
    name: str
    category: str
    name_ne: str = ""
    aliases: str = ""
    brand: str = ""
    sub_category: str = ""
    unit: str = "piece"
    pack_size: str = ""
    tax_rate: Decimal = Decimal(13)
    min_quantity: int = 1
    max_quantity: int = 1000


@dataclass(frozen=True)
class RowError:
    """What is wrong with one line of the file (the header is line 1)."""

    line: int
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}"


@dataclass
class Catalogue:
    rows: list[CatalogueRow] = field(default_factory=list)
    errors: list[RowError] = field(default_factory=list)


FIELDS = tuple(f.name for f in fields(CatalogueRow))
REQUIRED = ("sku", "name", "category")
NUMBERS = ("tax_rate", "min_quantity", "max_quantity")


def read(lines: Iterable[Mapping[str, str | None]], columns: Mapping[str, str]) -> Catalogue:
    """Return the products and errors of a CSV's rows (as csv.DictReader gives them).

    A line with any error gives no product; a SKU that comes twice is an error of its second line.
    """
    catalogue = Catalogue()
    seen: dict[str, int] = {}
    for line, row in enumerate(lines, start=2):
        values = {name: text for name in FIELDS if (text := _text(row, columns.get(name, name)))}
        problems = list(_problems(values))
        if values.get("sku") in seen:
            problems.append(f"sku {values['sku']} was on line {seen[values['sku']]} already")
        if problems:
            catalogue.errors += [RowError(line, problem) for problem in problems]
            continue
        seen[values["sku"]] = line
        catalogue.rows.append(_row(values))
    return catalogue


def _text(row: Mapping[str, str | None], source: str) -> str:
    """The row's text under a header, or of a template over headers, with single spaces."""
    if "{" in source:
        given = {header: value or "" for header, value in row.items() if header}
        return " ".join(source.format_map(given).split())
    return " ".join((row.get(source) or "").split())


LIMITS = {
    "sku": 40, "name": 200, "name_ne": 200, "aliases": 500, "brand": 80,
    "category": 80, "sub_category": 80, "unit": 16, "pack_size": 40,
}  # fmt: skip # characters; a test compares them with the model


def _problems(values: Mapping[str, str]) -> Iterator[str]:
    yield from (f"{name} is missing" for name in REQUIRED if name not in values)
    numbers_are_right = True
    for name, value in values.items():
        problem = _number_problem(name, value) if name in NUMBERS else _text_problem(name, value)
        if problem is not None:
            numbers_are_right = numbers_are_right and name not in NUMBERS
            yield problem
    if numbers_are_right:
        row = CatalogueRow(sku="", name="", category="")
        lowest = int(values.get("min_quantity", row.min_quantity))
        if int(values.get("max_quantity", row.max_quantity)) < lowest:
            yield "max_quantity is below min_quantity"


def _text_problem(name: str, value: str) -> str | None:
    if len(value) > LIMITS[name]:
        return f"{name} is longer than {LIMITS[name]} characters"
    return f"{name} has a NUL character" if "\x00" in value else None


def _number_problem(name: str, value: str) -> str | None:
    if name != "tax_rate":
        right = value.isascii() and value.isdigit() and 1 <= int(value[:11]) < 2**31
        return None if right else f"{name} is not a whole number from 1"
    try:
        number = Decimal(value)
    except InvalidOperation:
        return f"{name} is not a number: {value[:20]}"
    is_percentage = number.is_finite() and 0 <= number <= 100
    return None if is_percentage else "tax_rate is not between 0 and 100"


def _row(values: Mapping[str, str]) -> CatalogueRow:
    numbers = {
        "tax_rate": Decimal(values.get("tax_rate", "13")),
        "min_quantity": int(values.get("min_quantity", "1")),
        "max_quantity": int(values.get("max_quantity", "1000")),
    }
    texts = {name: value for name, value in values.items() if name not in NUMBERS}
    return CatalogueRow(**texts, **numbers)  # type: ignore[arg-type] # _problems() has checked them

"""Reading an order out of a message's text. Pure: no catalogue, no database.

A text falls into pieces, one per wanted line. A piece has several possible readings, and the
catalogue's SKUs decide which of them is meant: a piece is understood when the whole of it is one
known SKU and one quantity. Nothing is read from a part of a piece, so that nothing is guessed.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

MAX_PIECE = 80  # characters; a SKU has at most 40
ABSURD = 100_000  # packs

CONFIRM_WORDS = frozenset({"CONFIRM", "1", "YES", "OK", "HO", "हो"})
CASH_WORDS = frozenset({"CASH", "NAGAD", "नगद"})
CANCEL_WORDS = frozenset({"CANCEL", "NO", "HOINA", "होइन"})
PLEASE = frozenset({"PLEASE", "PLS", "PLZ", "KINDLY", "KRIPAYA", "कृपया"})
COURTESY = (
    PLEASE
    | {"HI", "HELLO", "HEY", "NAMASTE", "NAMASKAR", "नमस्ते", "नमस्कार"}
    | {"THANKS", "THANK", "YOU", "DHANYABAD", "धन्यवाद", "OK", "OKAY", "YES", "NO", "HO", "HAJUR"}
    | {"SIR", "MADAM", "DAI", "DIDI", "BHAI", "JI", "GOOD", "MORNING", "EVENING", "DAY"}
)

_DIGITS = str.maketrans("०१२३४५६७८९", "0123456789")
_SIGNS = str.maketrans(dict.fromkeys("–—−‑", "-") | {"⁄": "/"} | dict.fromkeys("×✕*", " X "))
_INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff]")
_BETWEEN = re.compile(r"[\n\r\v\f\u2028\u2029;।]+|,(?!\d)|(?<!\d),")  # "1,000" is one number
_BULLET = re.compile(r"^\s*[-•·#>*]+\s+")
_LIST_NUMBER = re.compile(r"^\s*\d{1,3}[.)](?:\s+|(?=[^\d\s]))")
_NEXT_LIST_NUMBER = re.compile(r"\s+(?=\d{1,3}[.)]\s+\S)")
_NUMBER = r"[-+]?\d[\d,]*(?:[./]\d+)*"
_FIRST = re.compile(rf"({_NUMBER})(?:\s*X\s+|\s+)(\S.*)")
_LAST = re.compile(rf"(.*\S)(?:\s+X\s*|\s*[:=]\s*|\s*-\s+)({_NUMBER})")
_LAST_LOOSE = re.compile(rf"(.*\S)(?:\s+|-)({_NUMBER})")


class Trouble(StrEnum):
    """Why a piece cannot become a line of an order as it stands."""

    UNKNOWN = "unknown"
    NO_QUANTITY = "no_quantity"
    ZERO = "zero"
    NEGATIVE = "negative"
    FRACTION = "fraction"
    ABSURD = "absurd"


@dataclass(frozen=True)
class Reading:
    """One way to read a piece: a SKU in capitals, and a quantity or what is wrong with it.

    `loose`: nothing but a space or a dash told SKU and quantity apart.
    """

    sku: str
    quantity: int
    trouble: Trouble | None = None
    quantity_first: bool = False
    loose: bool = False


@dataclass(frozen=True)
class Piece:
    """A part of a message that should be one line, as written, with its readings."""

    text: str
    readings: tuple[Reading, ...]

    @property
    def beginnings(self) -> set[str]:
        """What longer SKUs would begin with, were the number after a space or dash part of the SKU."""
        return {f"{r.sku}-{r.quantity}" for r in self.readings if r.loose and not r.trouble}


@dataclass(frozen=True)
class Line:
    """A known SKU, in capitals, and how many packs."""

    sku: str
    quantity: int


@dataclass(frozen=True)
class Question:
    """A piece to ask back about; `sku` is empty when no known one was named."""

    text: str
    trouble: Trouble
    sku: str = ""


@dataclass(frozen=True)
class Order:
    """What a message asks for, and what must be asked back."""

    lines: tuple[Line, ...]
    questions: tuple[Question, ...]


def words(text: str) -> list[str]:
    """The words of a text in capitals, without punctuation."""
    return [w for raw in _capitals(text).split() if (w := raw.strip(".,!?;:।'\"()"))]


def is_confirmation(text: str) -> bool:
    """Whether the whole text is one word of agreement, politeness aside."""
    return _single(text) in CONFIRM_WORDS


def is_cash_confirmation(text: str) -> bool:
    """Whether the whole text agrees to pay cash on delivery: `CASH`, `CONFIRM CASH`."""
    rest = [word for word in words(text) if word not in PLEASE]
    return len(rest) in (1, 2) and rest[-1] in CASH_WORDS and set(rest[:-1]) <= CONFIRM_WORDS


def is_cancellation(text: str) -> bool:
    """Whether the whole text is one word of refusal, politeness aside."""
    return _single(text) in CANCEL_WORDS


def _single(text: str) -> str:
    rest = [word for word in words(text) if word not in PLEASE]
    return rest[0] if len(rest) == 1 else ""


def pieces(text: str) -> list[Piece]:
    """Split a text at line breaks, semicolons, commas and the numbers of a list."""
    found = []
    for row in _BETWEEN.split(unicodedata.normalize("NFKC", text)):
        for part in _NEXT_LIST_NUMBER.split(row) if _LIST_NUMBER.match(row) else [row]:
            bare = _LIST_NUMBER.sub("", _BULLET.sub("", part))
            bare = _without_please(_capitals(bare).rstrip(" .,!?"))
            if bare:
                found.append(Piece(" ".join(part.split()), tuple(_readings(bare))))
    return found


def _capitals(text: str) -> str:
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
    return " ".join(plain.translate(_DIGITS).translate(_SIGNS).upper().split())


def _without_please(piece: str) -> str:
    parts = piece.split(" ")
    while parts and parts[0].strip(":!") in PLEASE:
        parts = parts[1:]
    while parts and parts[-1].strip(".,!") in PLEASE:
        parts = parts[:-1]
    return " ".join(parts)


def _readings(piece: str) -> Iterable[Reading]:
    if len(piece) > MAX_PIECE:
        return
    yield Reading(piece, 0, Trouble.NO_QUANTITY)
    if match := _FIRST.fullmatch(piece):
        yield _reading(match[2], match[1], quantity_first=True)
    if match := _LAST.fullmatch(piece):
        yield _reading(match[1], match[2])
    if match := _LAST_LOOSE.fullmatch(piece):
        yield _reading(match[1], match[2], loose=True)


def _reading(
    sku: str, number: str, *, quantity_first: bool = False, loose: bool = False
) -> Reading:
    quantity, trouble = _quantity(number)
    return Reading(sku, quantity, trouble, quantity_first, loose)


def _quantity(number: str) -> tuple[int, Trouble | None]:
    if number.startswith("-"):
        return 0, Trouble.NEGATIVE
    digits = number.removeprefix("+")
    if re.fullmatch(r"\d{1,3}(,\d{3})+", digits):
        digits = digits.replace(",", "")
    if not digits.isdecimal():
        return 0, Trouble.FRACTION
    if len(digits) > 9 or int(digits) >= ABSURD:
        return 0, Trouble.ABSURD
    return int(digits), None if int(digits) else Trouble.ZERO


def candidates(found: Iterable[Piece]) -> set[str]:
    """All SKUs, in capitals, that the pieces might name: what to look up in the catalogue."""
    return {reading.sku for piece in found for reading in piece.readings}


def beginnings(found: Iterable[Piece]) -> set[str]:
    """What SKUs must not begin with for a loose reading to be safe: look these up as well."""
    return {start for piece in found for start in piece.beginnings}


def resolve(found: Iterable[Piece], known: Collection[str]) -> Order:
    """Read the pieces against known SKUs (in capitals): the longest SKU wins, else a question.

    A SKU named twice in one message is wanted twice.
    """
    packs: dict[str, int] = {}
    questions = []
    for piece in found:
        reading = _meant(piece, known)
        if reading is None and all(word in COURTESY for word in words(piece.text)):
            continue
        if reading is None:
            questions.append(Question(piece.text, Trouble.UNKNOWN))
        elif reading.trouble:
            questions.append(Question(piece.text, reading.trouble, reading.sku))
        else:
            packs[reading.sku] = packs.get(reading.sku, 0) + reading.quantity
    lines = tuple(Line(sku, quantity) for sku, quantity in packs.items())
    return Order(lines, tuple(questions))


def _meant(piece: Piece, known: Collection[str]) -> Reading | None:
    """Return the reading with the longest known SKU, or None when there is none or a real doubt."""
    possible = [reading for reading in piece.readings if reading.sku in known]
    if not possible:
        return None
    best = max(possible, key=lambda r: (len(r.sku), r.trouble is None))
    if best.trouble == Trouble.NO_QUANTITY:
        return best
    if any(r.quantity_first != best.quantity_first for r in possible):
        return None  # "5 X 6" where both 5 and 6 are SKUs
    if best.loose and _begins_another(best, known):
        return None  # "COKE 250" where COKE and COKE-250ML are SKUs
    return best


def _begins_another(reading: Reading, known: Collection[str]) -> bool:
    longer = re.compile(re.escape(f"{reading.sku}-{reading.quantity}") + r"(?!\d)")
    return any(longer.match(sku) for sku in known)


@dataclass(frozen=True)
class OfferAnswer:
    """A vendor's answer to an offer, with the order's number and, where declined, the reason."""

    accepts: bool
    order_number: str
    reason: str = ""


_OFFER_ANSWER = re.compile(
    r"(ACCEPT|DECLINE|REJECT)[\s:]+(ORD-\d{4}-\d+)(?:[\s:,.-]+(\S.*))?", re.IGNORECASE | re.DOTALL
)


def offer_answer(text: str) -> OfferAnswer | None:
    """Read `ACCEPT ORD-2026-0000123` or `DECLINE ORD-2026-0000123 reason`; None for anything else.

    Two numbers in one message are none: half an answer would be dropped.
    """
    plain = unicodedata.normalize("NFKC", text).translate(_DIGITS).strip()
    match = _OFFER_ANSWER.fullmatch(plain)
    if match is None or "ORD-" in (match[3] or "").upper():
        return None
    verb, number, reason = match.groups()
    return OfferAnswer(verb.upper() == "ACCEPT", number.upper(), (reason or "").strip())

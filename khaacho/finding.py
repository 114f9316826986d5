"""Conditions that find records by what a person types, each one that an index serves.

A number is found by its beginning or its digits, a phone by its beginning, a name by its words. The
conditions of several columns are put together as sets of ids, for an OR over two tables no index serves.
"""

import re
from functools import reduce
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone

SHORTEST = 3  # letters of a word that a trigram index can find anywhere in a text


def number(field: str, prefix: str, text: str, *, width: int = 7) -> Q | None:
    """Return the condition on a number like ORD-2026-0000123; None when the text is none.

    By its beginning, with or without the prefix, or by its digits: those of this year and of the last.
    """
    typed = text.strip().upper()
    if re.fullmatch(rf"[0-9]{{1,{width}}}", typed):
        return Q(**{f"{field}__in": candidates(prefix, typed, width=width)})
    if re.fullmatch(r"[0-9]{4}-[0-9]*", typed):
        typed = f"{prefix}-{typed}"
    if re.fullmatch(rf"{prefix}-[0-9-]*", typed):
        return Q(**{f"{field}__startswith": typed})
    return None


def candidates(prefix: str, digits: str, *, width: int = 7) -> list[str]:
    """Return the whole numbers that these digits may mean: this year's and the last's."""
    year = timezone.localdate().year
    return [f"{prefix}-{y}-{int(digits):0{width}d}" for y in (year, year - 1)]


def phone(field: str, text: str) -> Q | None:
    """Return the condition on an E.164 phone by its beginning, the country left out or not; None: it is none."""
    beginning = e164(text)
    return None if beginning is None else Q(**{f"{field}__startswith": beginning})


def e164(text: str) -> str | None:
    """Return a phone, or the beginning of one, with plus sign and country, Nepal's if none; None: it is none."""
    typed = text.strip()
    if not re.fullmatch(r"\+?[0-9][0-9 -]{5,20}", typed):
        return None
    digits = re.sub(r"[^0-9]", "", typed)
    if not typed.startswith("+") and not digits.startswith("977"):
        digits = f"977{digits}"
    return f"+{digits}"


def words(field: str, text: str) -> Q:
    """Return the condition that the field has every word of the text; a short one alone must begin it."""
    typed = text.split()
    if all(len(word) < SHORTEST for word in typed):
        return Q(**{f"{field}__istartswith": text.strip()})
    return reduce(lambda found, word: found & Q(**{f"{field}__icontains": word}), typed, Q())


def ids(first: QuerySet[Any], *others: QuerySet[Any]) -> QuerySet[Any]:
    """Return the ids that any of the querysets has, each found by an index of its own."""
    return first.order_by().values("pk").union(*(other.order_by().values("pk") for other in others))

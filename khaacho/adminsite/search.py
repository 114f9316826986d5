"""Search that an index serves: the form of what was typed decides which column is looked at."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone


@dataclass(frozen=True)
class Search:
    """One way to find records: `pattern` matches the whole term, `where` makes the condition of it."""

    label: str
    pattern: str
    where: Callable[[str], Q]


def by_number(field: str, prefix: str, *, width: int = 7) -> Search:
    """Find `ORD-2026-0000123` by its beginning, or by 123 for this year's and last year's."""

    def where(term: str) -> Q:
        if not term.isdecimal():
            return Q(**{f"{field}__startswith": term.upper()})
        year = timezone.localdate().year
        numbers = [f"{prefix}-{y}-{int(term):0{width}d}" for y in (year, year - 1)]
        return Q(**{f"{field}__in": numbers})

    return Search(f"number ({prefix}-…)", rf"(?i:{prefix}-[\d-]*)|\d{{1,{width}}}", where)


def by_code(field: str, prefix: str, label: str = "code") -> Search:
    """Find `RTL-000123` by its beginning."""

    def where(term: str) -> Q:
        return Q(**{f"{field}__startswith": term.upper()})

    return Search(f"{label} ({prefix}-…)", rf"(?i:{prefix}-\d*)", where)


def by_phone(field: str, *, whole: bool = False) -> Search:
    """Find an E.164 number by its beginning, typed with or without the country and with spaces.

    `whole`: by the whole number alone, where an index serves nothing else.
    """
    lookup = field if whole else f"{field}__startswith"

    def where(term: str) -> Q:
        digits = re.sub(r"\D", "", term)
        if not term.startswith("+") and not digits.startswith("977"):
            digits = f"977{digits}"
        return Q(**{lookup: f"+{digits}"})

    return Search("phone", r"\+?\d[\d -]{5,}", where)


def by_text(field: str, label: str) -> Search:
    """Find every word typed in the field; `icontains` is what the trigram index of UPPER serves."""

    def where(term: str) -> Q:
        condition = Q()
        for word in term.split():
            condition &= Q(**{f"{field}__icontains": word})
        return condition

    return Search(label, r"(?s:.+)", where)


def exactly(field: str, label: str, pattern: str = r"\S+", **fixed: Any) -> Search:
    """Find by the whole value; `fixed` are further conditions that let an index be used."""
    return Search(label, pattern, lambda term: Q(**{field: term}, **fixed))


def search(queryset: QuerySet[Any], term: str, ways: Sequence[Search]) -> QuerySet[Any]:
    """Filter by the first way whose pattern the term matches; none: nothing is found."""
    term = term.replace("\0", "").strip()
    if not term:
        return queryset
    for way in ways:
        if re.fullmatch(way.pattern, term):
            return queryset.filter(way.where(term))
    return queryset.none()

"""Search that an index serves: the form of what was typed decides which column is looked at."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet

from khaacho import finding


@dataclass(frozen=True)
class Search:
    """One way to find records: `pattern` matches the whole term, `where` makes the condition of it."""

    label: str
    pattern: str
    where: Callable[[str], Q]


def by_number(field: str, prefix: str, *, width: int = 7) -> Search:
    """Find `ORD-2026-0000123` by its beginning, or by 123 for this year's and last year's."""

    def where(term: str) -> Q:
        return finding.number(field, prefix, term, width=width) or Q(pk__in=[])

    shape = rf"(?i:{prefix}-[0-9-]*)|[0-9]{{4}}-[0-9]*|[0-9]{{1,{width}}}"
    return Search(f"number ({prefix}-…)", shape, where)


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
        number = finding.e164(term)
        return Q(pk__in=[]) if number is None else Q(**{lookup: number})

    return Search("phone", r"\+?[0-9][0-9 -]{5,20}", where)


def by_text(field: str, label: str) -> Search:
    """Find every word typed in the field."""
    return Search(label, r"(?s:.+)", lambda term: finding.words(field, term))


def by_name(like: Callable[[str], QuerySet[Any]], label: str) -> Search:
    """Find by what a selector of ids says, which looks into several columns, each by its own index."""
    return Search(label, r"(?s:.+)", lambda term: Q(pk__in=like(term)))


def beginning(field: str, label: str, pattern: str) -> Search:
    """Find a code in capitals by its beginning."""
    return Search(label, pattern, lambda term: Q(**{f"{field}__startswith": term.upper()}))


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

"""The kinds of reports, each in a module of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from monitoring.enums import ReportKind
from monitoring.reports import (
    credit_summary,
    outstanding_liability,
    payment_discipline,
    purchase_volume,
    statement,
)
from monitoring.reports.columns import Column
from monitoring.reports.filters import Allowed, Filters


@dataclass(frozen=True)
class Kind:
    """What a report is called, may be narrowed to, shows, and selects."""

    title: str
    title_ne: str
    allowed: Allowed
    columns: Callable[[Filters], tuple[Column, ...]]
    statement: Callable[[Filters], str]


KINDS: Mapping[ReportKind, Kind] = {
    ReportKind.CREDIT_SUMMARY: Kind(
        "Credit summary",
        "उधारो सारांश",
        credit_summary.ALLOWED,
        credit_summary.columns,
        credit_summary.statement,
    ),
    ReportKind.PURCHASE_VOLUME: Kind(
        "Purchase volume",
        "खरिद परिमाण",
        purchase_volume.ALLOWED,
        purchase_volume.columns,
        purchase_volume.statement,
    ),
    ReportKind.PAYMENT_DISCIPLINE: Kind(
        "Payment discipline",
        "भुक्तानी अनुशासन",
        payment_discipline.ALLOWED,
        payment_discipline.columns,
        payment_discipline.statement,
    ),
    ReportKind.OUTSTANDING_LIABILITY: Kind(
        "Outstanding liability",
        "बाँकी दायित्व",
        outstanding_liability.ALLOWED,
        outstanding_liability.columns,
        outstanding_liability.statement,
    ),
    ReportKind.STATEMENT: Kind(
        "Statement of account",
        "खाता विवरण",
        statement.ALLOWED,
        statement.columns,
        statement.statement,
    ),
}

"""The side bar: what one may open, grouped by what staff do, with counts of what waits.

The counts of all badges are one statement, kept for a minute in Redis; without Redis they are counted each time.
A count ends at MOST, so that a heap of dead jobs costs what a thousand of them do.
"""

import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import DatabaseError, connection
from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from khaacho import caches, sql
from khaacho.adminsite import pages
from khaacho.adminsite.pages import GROUP_LABELS, Group, Label

log = logging.getLogger(__name__)

MOST = 1000  # what is counted; more is said as `999+`
MINUTE = 60  # seconds

# Models of the apps above are named as strings only. What is not named stands in the last group.
PLACES: Mapping[str, tuple[Group, Label]] = {
    "orders.orderrefusal": (Group.DESK, _("Credit desk")),
    "credit.limitchange": (Group.DESK, _("Limit changes")),
    "payments.collectiontask": (Group.DESK, _("Collection tasks")),
    "payments.invoicedispute": (Group.DESK, _("Disputes")),
    "khaacho.alert": (Group.DESK, _("Alerts")),
    "orders.order": (Group.ORDERS, _("Orders")),
    "orders.orderitem": (Group.ORDERS, _("Order lines")),
    "orders.vendororderacceptance": (Group.ORDERS, _("Acceptances")),
    "orders.orderstatuslog": (Group.ORDERS, _("Status changes")),
    "credit.retailer": (Group.SHOPS, _("Retailers")),
    "credit.creditaccount": (Group.SHOPS, _("Accounts")),
    "credit.creditledger": (Group.SHOPS, _("Ledger")),
    "credit.creditscore": (Group.SHOPS, _("Scores")),
    "credit.creditapproval": (Group.SHOPS, _("Approvals")),
    "payments.payment": (Group.MONEY, _("Payments")),
    "payments.paymentallocation": (Group.MONEY, _("Allocations")),
    "payments.paymentpromise": (Group.MONEY, _("Promises to pay")),
    "payments.paymentreminder": (Group.MONEY, _("Reminders")),
    "payments.remindernotice": (Group.MONEY, _("Reminder messages")),
    "vendors.vendor": (Group.CATALOGUE, _("Vendors")),
    "vendors.product": (Group.CATALOGUE, _("Products")),
    "vendors.vendorproduct": (Group.CATALOGUE, _("Offers")),
    "whatsapp.whatsappconversation": (Group.MESSAGES, _("Conversations")),
    "whatsapp.whatsappmessage": (Group.MESSAGES, _("WhatsApp messages")),
    "whatsapp.whatsappwebhook": (Group.MESSAGES, _("Webhooks")),
    "monitoring.report": (Group.REPORTS, _("Report files")),
    "khaacho.job": (Group.WORK, _("All jobs")),
    "khaacho.queuesetting": (Group.WORK, _("Paused queues")),
    "khaacho.workernode": (Group.WORK, _("Workers")),
    "monitoring.alertrule": (Group.WORK, _("Alert rules")),
    "monitoring.alertnotice": (Group.WORK, _("Alert messages")),
    "monitoring.jobminute": (Group.WORK, _("Jobs by the minute")),
    "django_celery_beat.periodictask": (Group.WORK, _("Schedules")),
    "monitoring.indexadvice": (Group.DATABASE, _("Index advice")),
    "monitoring.advicerun": (Group.DATABASE, _("Searches for advice")),
    "monitoring.releasemarker": (Group.DATABASE, _("Releases")),
    "monitoring.backup": (Group.DATABASE, _("Backups, all of them")),
    "monitoring.maintenancerun": (Group.DATABASE, _("Maintenance, all of it")),
    "monitoring.slowquery": (Group.DATABASE, _("View slow_queries")),
    "monitoring.indexusage": (Group.DATABASE, _("View index_usage_stats")),
    "monitoring.tablebloat": (Group.DATABASE, _("View table_bloat_stats")),
    "monitoring.missingindex": (Group.DATABASE, _("View missing_indexes")),
    "monitoring.statementform": (Group.DATABASE, _("Statements' forms")),
    "monitoring.statementplace": (Group.DATABASE, _("Statements' places")),
    "monitoring.statementspan": (Group.DATABASE, _("Statements by time")),
    "monitoring.originspan": (Group.DATABASE, _("Requests and jobs by time")),
    "khaacho.user": (Group.PEOPLE, _("Users")),
    "auth.group": (Group.PEOPLE, _("Groups")),
    "khaacho.auditlog": (Group.PEOPLE, _("Audit log")),
    "khaacho.signinfailure": (Group.PEOPLE, _("Failed sign-ins")),
    "khaacho.refreshtoken": (Group.PEOPLE, _("API sessions")),
    "khaacho.idempotencykey": (Group.SETTINGS, _("Idempotency keys")),
    "orders.fiscalyear": (Group.SETTINGS, _("Fiscal years")),
    "orders.invoicecounter": (Group.SETTINGS, _("Invoice counters")),
    "django_celery_beat.intervalschedule": (Group.SETTINGS, _("Intervals")),
    "django_celery_beat.crontabschedule": (Group.SETTINGS, _("Clock times")),
    "django_celery_beat.clockedschedule": (Group.SETTINGS, _("Single moments")),
    "django_celery_beat.solarschedule": (Group.SETTINGS, _("Sun events")),
}


@dataclass(frozen=True, kw_only=True)
class Badge:
    """A count beside an entry, of rows that want somebody.

    `entry` is a model's label or a page's name; `rows` is `table WHERE …` that a small index serves.
    """

    entry: str
    rows: str
    tone: str = "warn"


_badges: dict[str, Badge] = {}


def add_badge(badge: Badge) -> None:
    _badges[badge.entry] = badge


@dataclass(frozen=True)
class Entry:
    """One line of the side bar; `count` is empty when nothing waits."""

    label: Label
    url: str
    add_url: str
    is_current: bool
    count: str
    tone: str


@dataclass(frozen=True)
class Shelf:
    """A heading with its entries."""

    name: str
    label: Label
    entries: Sequence[Entry]


def side_bar(request: HttpRequest, app_list: Sequence[Mapping[str, Any]]) -> list[Shelf]:
    """Return what the user may open: `app_list` is Django's, already narrowed to it. One statement at most."""
    counts = waiting(may_count=not getattr(request, "asks_no_more", False))
    shelves: dict[Group, list[Entry]] = defaultdict(list)
    for page in pages.visible(request.user):
        url = reverse(page.name)
        shelves[page.group].append(
            Entry(page.label, url, "", request.path == url, *_said(page.name, counts))
        )
    found = {model["model"]._meta.label_lower: model for app in app_list for model in app["models"]}
    for label in [*PLACES, *(label for label in found if label not in PLACES)]:
        if (model := found.get(label)) and (url := model.get("admin_url")):
            group, name = PLACES.get(label, (Group.OTHER, model["name"]))
            shelves[group].append(
                Entry(
                    name,
                    url,
                    model.get("add_url") or "",
                    request.path.startswith(url),
                    *_said(label, counts),
                )
            )
    return [
        Shelf(group.value, GROUP_LABELS[group], shelves[group]) for group in Group if shelves[group]
    ]


def _said(entry: str, counts: Mapping[str, int]) -> tuple[str, str]:
    count = counts.get(entry, 0)
    if not count:
        return "", ""
    return (str(count) if count < MOST else f"{MOST - 1}+"), _badges[entry].tone


def waiting(*, may_count: bool = True) -> dict[str, int]:
    """Return the badges' counts by entry, at most a minute old; none when the database refuses to count.

    `may_count=False`, of pages that must answer when the database does not: only what is kept.
    """
    try:
        page = caches.Visit(caches.Slot("admin: what waits", ("admin",), MINUTE)).page_or(
            _counted if may_count else lambda: None
        )
    except DatabaseError as error:
        if connection.in_atomic_block:
            raise  # the page's transaction is lost with it
        log.warning("side_bar.not_counted", extra={"error": type(error).__name__})
        return {}
    return json.loads(page.body) if page else {}


def _counted() -> caches.Page:
    names = list(_badges)
    parts = ", ".join(
        f"(SELECT count(*) FROM (SELECT FROM {_badges[name].rows} LIMIT {MOST}) AS found)"
        for name in names
    )
    row = sql.fetch_one(f"SELECT {parts}") if parts else ()
    body = json.dumps(dict(zip(names, row or (), strict=True))).encode()
    return caches.Page(body, f'"{hashlib.blake2b(body, digest_size=8).hexdigest()}"')

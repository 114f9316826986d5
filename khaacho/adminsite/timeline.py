"""What happened to one object, newest first: acts, and edits by whomever, also those made in SQL."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from django.utils import timezone

from khaacho.models import AuditLog, User
from khaacho.money import format_npr

LENGTH = 50  # entries
HIDDEN = frozenset({"id", "created_at", "updated_at"})
MONEY = frozenset(
    {"credit_limit", "vendor_price", "total", "amount", "old_limit", "new_limit", "available"}
    | {"requested", "shortfall"}
)
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*")


@dataclass(frozen=True)
class Change:
    """A field's value before and after."""

    field: str
    old: str
    new: str


@dataclass(frozen=True)
class Moment:
    """One entry: when, by whom, what, and why."""

    at: datetime
    who: str
    what: str
    reason: str = ""
    changes: tuple[Change, ...] = ()


def name_of(user: User | None, database_user: str = "") -> str:
    """Return who did something; without a user it was the system, or somebody in SQL."""
    if user is not None:
        return user.name
    return f"system, or SQL as {database_user}" if database_user else "system"


def audited(entity_type: str, entity_id: int) -> list[Moment]:
    """Return the newest audit entries of an object. One statement, from the entity's index."""
    entries = (
        AuditLog.objects.filter(entity_type=entity_type, entity_id=entity_id)
        .select_related("user")
        .order_by("-created_at")[:LENGTH]
    )
    return [
        Moment(
            at=entry.created_at,
            who=name_of(entry.user, entry.database_user),
            what=entry.action.partition(".")[2].replace("_", " ") or entry.action,
            reason=entry.reason,
            changes=tuple(differences(entry.old_values, entry.new_values)),
        )
        for entry in entries
    ]


def newest_first(moments: Iterable[Moment]) -> list[Moment]:
    return sorted(moments, key=lambda moment: moment.at, reverse=True)[:LENGTH]


def differences(old: dict[str, Any], new: dict[str, Any]) -> Iterable[Change]:
    """Return each field that differs, by name; absent and empty values alike are shown as nothing."""
    for field in sorted({*old, *new} - HIDDEN):
        before, after = _text(field, old.get(field)), _text(field, new.get(field))
        if before != after:
            yield Change(field.removesuffix("_id").replace("_", " "), before, after)


def _text(field: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if field in MONEY and isinstance(value, int | float):
        return format_npr(Decimal(str(value)))
    if isinstance(value, str) and TIME.fullmatch(value):
        return f"{timezone.localtime(datetime.fromisoformat(value)):%Y-%m-%d %H:%M:%S}"
    return str(value)

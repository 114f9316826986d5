"""Marking releases."""

from datetime import datetime

from django.db import transaction

from khaacho import sql
from monitoring.exceptions import ReleaseMarked
from monitoring.history.models import NAME_MAX, ReleaseMarker


@transaction.atomic
def mark(
    name: str,
    *,
    at: datetime | None = None,
    host: str = "",
    made_by: str = "",
    dry_run: bool = False,
) -> tuple[ReleaseMarker, bool]:
    """Remember a release, by default as of now; return its marker and whether it is new.

    A name is marked once, so that a deployment may be repeated. Raises ReleaseMarked when it is marked at
    another time than the one given, and ValueError for an empty or too long name and a time to come.
    """
    row = sql.fetch_one("SELECT statement_timestamp()")
    assert row is not None
    moment = at or row[0]
    if not name.strip() or len(name) > NAME_MAX:
        raise ValueError(f"a release has a name of up to {NAME_MAX} characters")
    if moment > row[0]:
        raise ValueError("a release is marked when it is brought out, not before")
    fields = {"released_at": moment, "host": host[:NAME_MAX], "made_by": made_by[:NAME_MAX]}
    if dry_run:
        found = ReleaseMarker.objects.filter(name=name).first()
        marker, is_new = found or ReleaseMarker(name=name, **fields), found is None
    else:
        marker, is_new = ReleaseMarker.objects.get_or_create(name=name, defaults=fields)
    if not is_new and at is not None and marker.released_at != at:
        raise ReleaseMarked(f"{name} is marked at {marker.released_at.isoformat()} already")
    return marker, is_new

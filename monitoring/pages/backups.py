"""Are there backups, how old and how big, and did a drill prove one?"""

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from khaacho.adminsite import charts
from monitoring.backups.kinds import BackupState, DrillResult
from monitoring.database import access
from monitoring.pages.framework import MonitoringPage, Panel, Window, timeout_ms
from monitoring.templatetags import quantities

LIMIT = 60
MEGABYTE = 1_000_000
BACKUP_WARN, BACKUP_BAD = 26 * 3600, 50 * 3600  # seconds, as the first alert rules
DRILL_WARN, DRILL_BAD = 9 * 86_400, 16 * 86_400
AGES = """
SELECT extract(epoch FROM now() - max(snapshot_at) FILTER (WHERE state = 'done'))::float8 AS backup,
    extract(epoch FROM now() - max(verified_at))::float8 AS drill,
    count(*) FILTER (WHERE state = 'done' AND removed_at IS NULL) AS kept,
    sum(size) FILTER (WHERE state = 'done' AND removed_at IS NULL)::bigint AS bytes
FROM backups
"""
ROWS = f"""
SELECT id, name, state, size, database_size, is_encrypted, error, snapshot_at, uploaded_at, upload_error,
    drill_result, drilled_at, drill_seconds, drill_error, verified_at, removed_at,
    extract(epoch FROM now() - coalesce(snapshot_at, started_at))::float8 AS age,
    extract(epoch FROM finished_at - started_at)::float8 AS seconds
FROM backups ORDER BY name DESC LIMIT {LIMIT}
"""
TONES = {
    BackupState.RUNNING: "quiet",
    BackupState.DONE: "good",
    BackupState.FAILED: "bad",
    DrillResult.NONE: "quiet",
    DrillResult.PASSED: "good",
}


def _ages(window: Window) -> Mapping[str, Any]:
    [row] = access.fetch_dicts(AGES, timeout_ms=timeout_ms())
    return {
        "configured": bool(settings.BACKUP_DIR),
        "days": settings.BACKUP_RETENTION_DAYS,
        "bucket": settings.BACKUP_S3_BUCKET,
        "cards": (
            (_("Last backup"), *_said(row["backup"], BACKUP_WARN, BACKUP_BAD)),
            (_("Last drill that passed"), *_said(row["drill"], DRILL_WARN, DRILL_BAD)),
        ),
        "kept": row["kept"],
        "bytes": row["bytes"] or 0,
    }


def _said(seconds: float | None, warn: float, bad: float) -> tuple[str, str, str]:
    """Return an age in words, its tone and the badge's word."""
    if seconds is None:
        return _("none yet"), "bad", _("missing")
    tone = "bad" if seconds >= bad else "warn" if seconds >= warn else "good"
    word = {"bad": _("too old"), "warn": _("late"), "good": _("in time")}[tone]
    return _("%s ago") % quantities.seconds(seconds), tone, word


def _kept(window: Window) -> Mapping[str, Any]:
    rows = access.fetch_dicts(ROWS, timeout_ms=timeout_ms())
    made = [row for row in rows if row["size"]]
    bars = [
        (row["name"].removeprefix("khaacho_backup_"), round(row["size"] / MEGABYTE, 2))
        for row in made[:14]
    ]
    return {
        "rows": [
            {
                **row,
                "state_name": BackupState(row["state"]).label,
                "tone": TONES[BackupState(row["state"])],
                "drill_name": DrillResult(row["drill_result"]).label,
                "drill_tone": TONES.get(DrillResult(row["drill_result"]), "bad"),
            }
            for row in rows
        ],
        "chart": charts.bar_chart(bars, title=_("Sizes of the last backups"), unit="MB")
        if bars
        else "",
    }


PAGE = MonitoringPage(
    name="backups",
    title=gettext_lazy("Backups"),
    ranged=False,
    help=gettext_lazy(
        "By hand: manage.py backup, manage.py verify_backup, manage.py restore FILE."
    ),
    panels=(
        Panel(
            name="ages",
            title=gettext_lazy("How old"),
            read=_ages,
            template="monitoring/pages/backups_ages.html",
        ),
        Panel(
            name="kept",
            title=gettext_lazy("Backups and their drills"),
            read=_kept,
            template="monitoring/pages/backups_kept.html",
        ),
    ),
)

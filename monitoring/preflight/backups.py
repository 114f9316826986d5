"""That a backup was made lately, and that a drill has shown that one can be restored."""

import os
from collections.abc import Iterator

from django.conf import settings

from monitoring.backups import records
from monitoring.preflight.lines import Fault

HOUR, DAY = 3600, 86_400
BACKUP_HOURS, DRILL_DAYS = 26, 9  # a night and a week, with some hours to spare


def backup() -> Iterator[Fault]:
    if not settings.BACKUP_DIR:
        yield Fault("There are no backups.", "BACKUP_DIR=/var/backups/khaacho  # docs/backups.md")
        return
    if not os.access(settings.BACKUP_DIR, os.W_OK):
        yield Fault(
            f"{settings.BACKUP_DIR} may not be written to by this user.",
            f"install -d -o khaacho -g khaacho -m 700 {settings.BACKUP_DIR}",
        )
    seconds, _, _ = records.ages()
    if seconds is None or seconds > BACKUP_HOURS * HOUR:
        said = "never made" if seconds is None else f"made {seconds / HOUR:.0f} hours ago"
        yield Fault(f"The last backup was {said}.", "python manage.py backup")


def drill() -> Iterator[Fault]:
    if not settings.BACKUP_DIR:
        return  # the line above says so
    _, seconds, _ = records.ages()
    if seconds is None or seconds > DRILL_DAYS * DAY:
        said = "never" if seconds is None else f"{seconds / DAY:.0f} days ago"
        yield Fault(
            f"A backup was last restored for a trial {said}.", "python manage.py verify_backup"
        )

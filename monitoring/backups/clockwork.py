"""What the nightly jobs and the weekly drill do, and what they say where there are no backups."""

import logging

from django.conf import settings

from khaacho import jobs
from khaacho.alerts import raise_alert
from khaacho.enums import Severity
from khaacho.exceptions import KhaachoError
from khaacho.jobs import Claim
from monitoring.archiving import leaving
from monitoring.backups import encryption, nightly, shelf
from monitoring.backups.faults import Busy
from monitoring.backups.making import Progress

SOFT_LIMIT, HARD_LIMIT = (
    4 * 3600 - 300,
    4 * 3600,
)  # seconds; a lease as long, so that nobody begins it twice

log = logging.getLogger(__name__)


def back_up(claim: Claim) -> None:
    """Make the backup of the night. Raises BackupFailed: the job tries again, then is dead and an alert."""
    if not _configured("backup"):
        return
    night = nightly.backup(
        shelf.directory(),
        encryption.keys(),
        days=settings.BACKUP_RETENTION_DAYS,
        progress=_progress(claim),
    )
    if night.upload_error:
        raise_alert("backup.not_uploaded", night.upload_error, severity=Severity.WARNING)


def drill(claim: Claim) -> None:
    """Prove the newest backup. A drill that fails is an alert at once: nobody can rely on the backups."""
    if not _configured("drill"):
        return
    try:
        proof = nightly.prove(shelf.directory(), encryption.keys(), progress=_progress(claim))
    except KhaachoError as error:
        if error.code == "drill_failed":
            raise_alert("backup.drill_failed", error.message, severity=Severity.CRITICAL)
        raise
    if proof.violations:
        log.warning("backup.rules_violated", extra={"violations": proof.violations})


def archive(claim: Claim) -> None:
    """Archive months of the audit log that ended more than AUDIT_KEPT_MONTHS ago, and what is begun.

    While a backup or a drill is under way it is for another night. Raises BackupFailed, Unreadable: tried
    again, then dead and an alert.
    """
    if not settings.AUDIT_KEPT_MONTHS or not _configured("archive"):
        return
    try:
        leaving.archive(
            shelf.directory(),
            encryption.keys(),
            kept_months=settings.AUDIT_KEPT_MONTHS,
            progress=_progress(claim),
        )
    except Busy as error:
        log.warning("audit.not_archived", extra={"reason": error.message})


def _configured(what: str) -> bool:
    if settings.BACKUP_DIR:
        return True
    log.warning("backup.not_configured", extra={"skipped": what, "reason": "BACKUP_DIR is not set"})
    return False


def _progress(claim: Claim) -> Progress:
    """Report progress when it changes, which also learns of a cancelled job."""
    shown = -1

    def show(percent: int) -> None:
        nonlocal shown
        if percent != shown:
            shown = percent
            jobs.report_progress(claim, percent)

    return show

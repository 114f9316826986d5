"""What monitoring does by the clock."""

from django.utils import timezone

from credit import services as credit
from khaacho import months
from khaacho.actors import SYSTEM
from khaacho.alerts import raise_alert
from khaacho.enums import Severity
from khaacho.jobs import Claim
from monitoring import job_minutes, services
from monitoring.advice import advisor, keeping
from monitoring.alerting import notices, rules
from monitoring.backups import clockwork
from monitoring.history import partitions, sampling
from monitoring.invariants import Result, run_invariants
from monitoring.maintenance import asking, working
from monitoring.reports import making

# More accounts than this at once is a fault of the system, not of accounts: people decide.
FREEZE_AT_MOST = 50
FORGET_BATCHES = 100


def reconcile() -> None:
    """Check every invariant; raise an alert for each that is violated and freeze the accounts concerned."""
    for result in run_invariants():
        if result.violations:
            _report(result)


def _report(result: Result) -> None:
    invariant = result.invariant
    frozen = result.account_ids if invariant.freezes else ()
    if len(frozen) > FREEZE_AT_MOST:
        frozen = ()
    raise_alert(
        f"invariant.{invariant.name}",
        f"{result.violations} violations: {invariant.rule}",
        severity=Severity.CRITICAL,
        violations=result.violations,
        examples=[f"{invariant.entity} {o.entity_id}: {o.fault}" for o in result.examples],
        accounts=len(result.account_ids),
        frozen_accounts=list(frozen),
    )
    for account_id in frozen:
        credit.freeze_account(
            account_id=account_id, reason=f"Reconciliation: {invariant.rule}", actor=SYSTEM
        )


def count_jobs() -> None:
    """Count the jobs that were done since the last time, by the minute."""
    job_minutes.count()


def take_sample() -> None:
    """Store what the database counted in the last five minutes; a slot that has its sample stays as it is."""
    sampling.take()


def keep_history() -> None:
    """Make months of the trade's tables and weeks of samples ahead, and drop weeks older than 30 days."""
    partitions.keep()
    months.make_ahead()  # last: its locks are held until the job's transaction ends


def make_report(*, claim: Claim, report_id: int) -> None:
    making.make(claim, report_id)


def make_monthly_reports() -> None:
    services.make_monthly(today=timezone.localdate())


def maintain(*, claim: Claim, run_id: int) -> None:
    working.maintain(claim, run_id)


def close_abandoned_reports() -> None:
    services.close_abandoned()
    asking.close_abandoned()


def forget_expired_reports() -> None:
    """Forget batch after batch; what a day leaves over, the next one takes."""
    for _ in range(FORGET_BATCHES):
        if not services.forget_expired():
            return


def advise_indexes() -> None:
    """Search for missing indexes among the costliest statements, and keep what is found."""
    keeping.store(advisor.advise())


def check_alerts() -> None:
    """Hold what is measured against the rules, and queue what people are to be told."""
    rules.check()
    notices.queue_due()


def send_notice(*, claim: Claim, notice_id: int) -> None:
    notices.send(notice_id)


def back_up(*, claim: Claim) -> None:
    """Make tonight's backup, send it, forget the outdated."""
    clockwork.back_up(claim)


def archive_audit(*, claim: Claim) -> None:
    """Archive months of the audit log that are kept no longer."""
    clockwork.archive(claim)


def drill_backup(*, claim: Claim) -> None:
    """Prove the newest backup by restoring it beside the database."""
    clockwork.drill(claim)

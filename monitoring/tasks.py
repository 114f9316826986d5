"""What monitoring does by the clock."""

from credit import services as credit
from khaacho.actors import SYSTEM
from khaacho.alerts import raise_alert
from khaacho.enums import Severity
from monitoring import job_minutes
from monitoring.invariants import Result, run_invariants

# More accounts than this at once is a fault of the system, not of accounts: people decide.
FREEZE_AT_MOST = 50


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

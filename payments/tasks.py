"""Jobs of payments: each fetches and calls a verb."""

from collections.abc import Sequence

from credit.models import Retailer
from khaacho import alert_desk, jobs
from khaacho.actors import SYSTEM
from khaacho.alerts import raise_alert
from payments import risk, scores, services

CHUNK = 50  # shops of one transaction, whose rows are locked until its end


def rescore(*, retailer_id: int) -> None:
    scores.rescore(retailer_ids=[retailer_id])


def rescore_chunk(*, retailer_ids: Sequence[int]) -> None:
    scores.rescore(retailer_ids=retailer_ids)


def rescore_all(*, everybody: bool = False) -> None:
    """Queue the scoring of every approved shop, blocked ones too, a chunk to a job; or of all there are."""
    shops = (
        Retailer.objects.all() if everybody else Retailer.objects.live().filter(is_approved=True)
    )
    ids = list(shops.order_by("pk").values_list("pk", flat=True))
    jobs.insert(_chunks("payments.rescore_chunk", ids))


def review_risk() -> None:
    """Look at the shops whose facts changed since the last review, and queue them by chunks."""
    ids = risk.changed()
    jobs.insert(_chunks("payments.review_chunk", ids))


def review_chunk(*, retailer_ids: Sequence[int]) -> None:
    """Open the alerts that these shops give cause for, and resolve those whose cause is gone.

    An alert that says the same already is left as it is.
    """
    known = risk.open_alerts(retailer_ids)
    for profile in risk.profiles(retailer_ids):
        found = {risk.alert_code(each.code): each for each in risk.findings(profile)}
        for code, finding in found.items():
            if known.get((profile.retailer_id, code), ("", 0))[0] != finding.message:
                raise_alert(
                    code,
                    finding.message,
                    severity=finding.severity,
                    entity_type="retailer",
                    entity_id=profile.retailer_id,
                )
        for (shop, code), (_, pk) in known.items():
            if shop == profile.retailer_id and code not in found:
                alert_desk.resolve(alert_id=pk, reason="The cause is gone.", actor=SYSTEM)


def _chunks(kind: str, ids: Sequence[int]) -> list[jobs.NewJob]:
    return [
        jobs.NewJob(
            kind, {"retailer_ids": list(ids[start : start + CHUNK])}, f"retailer:{ids[start]}"
        )
        for start in range(0, len(ids), CHUNK)
    ]


def find_reminders() -> None:
    """Close promises and notices whose day is over, then queue today's reminders."""
    services.close_promises()
    services.lapse_notices()
    services.find_reminders()


def remind(*, retailer_id: int) -> None:
    services.plan_reminders(retailer_id=retailer_id)

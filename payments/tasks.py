"""Jobs of payments: each fetches and calls a verb."""

from collections.abc import Sequence

from credit.models import Retailer
from khaacho import jobs
from payments import scores

CHUNK = 50  # shops of one transaction, whose rows are locked until its end


def rescore(*, retailer_id: int) -> None:
    scores.rescore(retailer_ids=[retailer_id])


def rescore_chunk(*, retailer_ids: Sequence[int]) -> None:
    scores.rescore(retailer_ids=retailer_ids)


def rescore_all() -> None:
    """Queue the scoring of every approved shop, blocked ones too, a chunk to a job."""
    shops = Retailer.objects.live().filter(is_approved=True)
    ids = list(shops.order_by("pk").values_list("pk", flat=True))
    jobs.insert(
        [
            jobs.NewJob(
                "payments.rescore_chunk",
                {"retailer_ids": ids[start : start + CHUNK]},
                f"retailer:{ids[start]}",
            )
            for start in range(0, len(ids), CHUNK)
        ]
    )


def review_risk() -> None:
    """Look for alarming shops."""

"""Jobs of credit: each fetches and calls a verb."""

from django.db.models import Exists, OuterRef, Q

from credit import services
from credit.enums import RequestState
from credit.models import LimitChange, Retailer
from khaacho import jobs

STAYS = range(550, 650)  # scores whose band, fair, suggests no change


def suggest_limit(*, retailer_id: int) -> None:
    services.suggest_limit(retailer_id=retailer_id)


def suggest_limits() -> None:
    """Queue a suggestion for every shop whose band asks for one, or for which one waits."""
    waiting = LimitChange.objects.filter(
        retailer=OuterRef("pk"), account=None, is_automatic=True, state=RequestState.PENDING
    )
    changing = Q(credit_limit__gt=0, is_blocked=False, deleted_at=None) & ~Q(
        credit_score__range=(STAYS.start, STAYS.stop - 1)
    )
    shops = Retailer.objects.filter(Exists(waiting) | Q(changing, is_approved=True))
    jobs.insert(
        [
            jobs.NewJob("credit.suggest_limit", {"retailer_id": pk}, f"retailer:{pk}")
            for pk in shops.order_by("pk").values_list("pk", flat=True)
        ]
    )

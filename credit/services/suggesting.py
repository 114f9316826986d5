"""Limits as the score's band suggests them: once in 30 days a shop, done or waiting for an officer."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from credit import suggestions
from credit.models import CreditAccount, CreditScore, LimitChange, Retailer
from credit.services import limits
from credit.services.retailers import lock_retailer
from khaacho.actors import SYSTEM, act
from khaacho.money import format_npr


@transaction.atomic
def suggest_limit(*, retailer_id: int) -> LimitChange | None:
    """Change a shop's platform limit as its score suggests, or ask an officer to; None: not now.

    settings.CREDIT_AUTOMATIC_LIMITS applies it at once, but for a rise above
    settings.LIMIT_SECOND_PERSON_ABOVE. Never for a shop that is provisional, blocked, without a limit or
    with a frozen account, while another change waits, or within 30 days of the last suggestion. One
    that waits and is no longer what the score suggests is withdrawn. Locks the retailer.
    """
    act(SYSTEM)
    retailer = lock_retailer(retailer_id)
    latest = CreditScore.objects.filter(retailer=retailer).order_by("-created_at", "-pk").first()
    wanted = retailer.credit_limit
    if latest is not None and _may_change(retailer, latest):
        wanted = suggestions.suggested(retailer.credit_limit, latest.band)
    waiting = limits.pending(retailer, None)
    if waiting is not None and waiting.is_automatic and waiting.new_limit != wanted:
        limits.decline(waiting, SYSTEM, "The score suggests something else now.")
        return None
    if latest is None or waiting or wanted == retailer.credit_limit or _was_suggested(retailer):
        return None
    return limits.request_change(
        retailer=retailer,
        account=None,
        new_limit=wanted,
        reason=f"Score {latest.score}, {latest.band.replace('_', ' ')}: {format_npr(wanted)} suggested",
        actor=SYSTEM,
        is_automatic=True,
        waits=not settings.CREDIT_AUTOMATIC_LIMITS,
    )


def _may_change(retailer: Retailer, latest: CreditScore) -> bool:
    is_served = retailer.is_approved and not retailer.is_blocked and retailer.deleted_at is None
    if latest.is_provisional or not is_served or not retailer.credit_limit:
        return False
    return not CreditAccount.objects.filter(retailer=retailer, is_frozen=True).exists()


def _was_suggested(retailer: Retailer) -> bool:
    since = Now() - timedelta(days=suggestions.EVERY_DAYS)
    return LimitChange.objects.filter(
        retailer=retailer, is_automatic=True, created_at__gt=since
    ).exists()

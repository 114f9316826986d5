"""Scoring shops: facts are gathered under the retailers' locks, so that the last scoring knows the most."""

from collections.abc import Iterable

from django.conf import settings

from credit import services as credit
from credit.scoring import MODELS, Advice, Score, advice
from khaacho.transactions import verb
from payments import standing


@verb
def rescore(*, retailer_ids: Iterable[int]) -> dict[int, Score]:
    """Score the retailers anew; return the scorings that changed, by retailer.

    Locks the retailers in id order, then reads: eleven statements, however many. Ids of nobody are
    passed over.
    """
    locked = credit.lock_retailers(retailer_ids)
    if not locked:
        return {}
    return credit.record_scores(standing.facts(locked, MODELS[settings.CREDIT_SCORE_VERSION]))


def advice_for(retailer_id: int) -> list[Advice]:
    """Return what paying each of the shop's five oldest dues today would do. Seven statements."""
    model = MODELS[settings.CREDIT_SCORE_VERSION]
    found = standing.facts([retailer_id], model)
    return advice(found[retailer_id], model) if found else []

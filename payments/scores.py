"""Scoring shops: facts are gathered under the retailers' locks, so that the last scoring knows the most."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings

from credit import services as credit
from credit.scoring import MODELS, Advice, Facts, Score, advice
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


@dataclass(frozen=True)
class Known:
    """What is known of a shop at this moment, and what paying each of its oldest dues would do."""

    facts: Facts
    advice: tuple[Advice, ...]


def known(retailer_id: int) -> Known:
    """Return today's facts of a shop and its advice. Seven statements."""
    model = MODELS[settings.CREDIT_SCORE_VERSION]
    facts = standing.facts([retailer_id], model)[retailer_id]
    return Known(facts, tuple(advice(facts, model)))

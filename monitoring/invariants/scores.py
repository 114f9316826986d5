"""That each shop's score can be computed again from what was stored with it."""

from collections.abc import Iterator

from credit.models import CreditScore
from credit.scoring import MODELS, Facts, score
from monitoring.invariants.rule import Invariant

LATEST = CreditScore.objects.order_by("retailer_id", "-created_at", "-pk").distinct("retailer_id")
BATCH = 500


def differing() -> Iterator[tuple[int, str]]:
    """Yield (retailer, what is wrong) where the latest scoring is not what its facts give."""
    for kept in LATEST.all().iterator(BATCH):
        fault = _fault(kept)
        if fault:
            yield kept.retailer_id, fault


def _fault(kept: CreditScore) -> str:
    model = MODELS.get(kept.version)
    if model is None:
        return f"scored {kept.score} by {kept.version}, which is unknown"
    try:
        again = score(Facts.from_json(kept.inputs), model)
    except (KeyError, ValueError, TypeError, ArithmeticError) as error:
        return f"its facts cannot be read: {type(error).__name__}"
    stored = kept.score, kept.cap, kept.is_provisional, kept.reason
    if stored != (again.score, again.cap, again.is_provisional, again.reason):
        return f"scored {kept.score}, its facts give {again.score}"
    if kept.components != again.as_json():
        return "its points are not those of its facts"
    return ""


INVARIANTS = (
    Invariant(
        "score_is_recomputable",
        "A shop's latest scoring is what its stored facts give by its version.",
        "retailer",
        "(SELECT DISTINCT retailer_id FROM credit_scores) scored",
        find=differing,
    ),
)

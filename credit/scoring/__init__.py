"""The credit score, 300-900: pure, versioned, explained. docs/credit-score.md says how and why.

    score(facts, V1).score

`Facts` are all that is looked at. They are stored with each scoring, and give the same score again.
"""

from credit.scoring.facts import Facts, Invoice, gaps_between
from credit.scoring.history import Rhythm, rhythm, utilisation
from credit.scoring.model import (
    BAND_NAMES,
    BANDS,
    CEILING,
    FLOOR,
    MODELS,
    V1,
    WORST_BAND,
    Model,
    band,
)
from credit.scoring.scores import (
    Advice,
    Component,
    Score,
    advice,
    pay,
    score,
    variation,
    whole_points,
)

__all__ = [
    "BANDS",
    "BAND_NAMES",
    "CEILING",
    "FLOOR",
    "MODELS",
    "V1",
    "WORST_BAND",
    "Advice",
    "Component",
    "Facts",
    "Invoice",
    "Model",
    "Rhythm",
    "Score",
    "advice",
    "band",
    "gaps_between",
    "pay",
    "rhythm",
    "score",
    "utilisation",
    "variation",
    "whole_points",
]

"""Keeping scores: a row of history whenever what is shown changes, and the shop's score with it."""

import json
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.db import transaction

from credit import shown
from credit.events import CreditScoreChanged, ScoringAsked
from credit.models import Retailer
from credit.scoring import MODELS, Facts, Score, band, score
from khaacho import audit, events, sql
from khaacho.actors import Actor, act, require_staff
from khaacho.exceptions import NotFound

LATEST = (
    "SELECT r.id, s.score, s.version, s.is_provisional, s.cap, s.reason, s.components::text"
    " FROM unnest(%s::bigint[]) AS r (id) CROSS JOIN LATERAL (SELECT * FROM credit_scores"
    " WHERE retailer_id = r.id ORDER BY created_at DESC, id DESC LIMIT 1) AS s"
)
# Dated by the statement, which waited for the retailers' locks: the last to write is the latest.
RECORD = (
    "WITH s AS (INSERT INTO credit_scores (retailer_id, score, version, inputs, components,"
    " is_provisional, cap, reason, created_at)"
    " SELECT r, s, %(version)s, i, c, p, m, w, clock_timestamp() FROM unnest(%(retailers)s::bigint[],"
    " %(scores)s::smallint[], %(inputs)s::jsonb[], %(components)s::jsonb[], %(provisional)s::bool[],"
    " %(caps)s::smallint[], %(reasons)s::text[]) AS n (r, s, i, c, p, m, w)"
    " RETURNING retailer_id, score)"
    " UPDATE retailers SET credit_score = s.score FROM s WHERE retailers.id = s.retailer_id"
)


@transaction.atomic
def record_scores(facts: Mapping[int, Facts]) -> dict[int, Score]:
    """Score retailers (by id) from their facts; keep and return those whose scoring changed.

    The caller has locked the retailers before it gathered the facts. A scoring that shows the same
    (score, cap, components and their sentences) as the latest leaves no row. Three statements.
    """
    model = MODELS[settings.CREDIT_SCORE_VERSION]
    latest = {row[0]: row[1:] for row in sql.fetch(LATEST, [list(facts)])}
    changed: dict[int, Score] = {}
    for retailer_id, known in facts.items():
        made = score(known, model)
        before = latest.get(retailer_id)
        if before is None or _shown(made) != (*before[:-1], json.loads(before[-1])):
            changed[retailer_id] = made
    if not changed:
        return changed
    sql.execute(RECORD, _parameters(changed, facts, model.version))
    events.publish(*_moves(changed, latest))
    for retailer_id in changed:
        shown.credit_changed(retailer_id)
    return changed


@transaction.atomic
def ask_for_scoring(*, retailer_id: int, actor: Actor) -> None:
    """Have a shop scored now, by whoever knows its facts. Raises NotFound, Forbidden."""
    act(actor)
    require_staff(actor)
    if not Retailer.objects.filter(pk=retailer_id).exists():
        raise NotFound
    audit.record(actor, "credit_score.asked", entity_type="retailer", entity_id=retailer_id)
    events.publish(ScoringAsked(retailer_id=retailer_id))


def _shown(made: Score) -> tuple[Any, ...]:
    return (
        made.score,
        made.version,
        made.is_provisional,
        made.cap,
        made.reason,
        made.as_json(),
    )


def _parameters(
    changed: Mapping[int, Score], facts: Mapping[int, Facts], version: str
) -> dict[str, Any]:
    scores = changed.values()
    return {
        "version": version,
        "retailers": list(changed),
        "scores": [made.score for made in scores],
        "inputs": [json.dumps(facts[retailer_id].as_json()) for retailer_id in changed],
        "components": [json.dumps(made.as_json()) for made in scores],
        "provisional": [made.is_provisional for made in scores],
        "caps": [made.cap for made in scores],
        "reasons": [made.reason for made in scores],
    }


def _moves(
    changed: Mapping[int, Score], latest: Mapping[int, tuple[Any, ...]]
) -> list[CreditScoreChanged]:
    """Return the facts of shops that went into another band; a first score goes nowhere."""
    return [
        CreditScoreChanged(
            retailer_id=retailer_id,
            old_score=latest[retailer_id][0],
            new_score=made.score,
            old_band=band(latest[retailer_id][0]),
            new_band=made.band,
        )
        for retailer_id, made in changed.items()
        if retailer_id in latest and band(latest[retailer_id][0]) != made.band
    ]

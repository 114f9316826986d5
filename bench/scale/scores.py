"""Scorings to draw from: shops of many kinds, each scored by the real formula."""

import json
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from credit.scoring import V1, Facts, Invoice, score
from khaacho import sql

KINDS = 101
TABLE = (
    "CREATE UNLOGGED TABLE scale.plan_score AS SELECT * FROM unnest(%(n)s::int[], %(scores)s::int[],"
    " %(inputs)s::jsonb[], %(components)s::jsonb[], %(provisional)s::bool[])"
    " AS s (n, score, inputs, components, is_provisional)"
)


def specimens(today: date) -> Sequence[Facts]:
    """Return a shop of each kind, from those that pay in time to those that always pay late."""
    return [_shop(kind, today) for kind in range(KINDS)]


def _shop(kind: int, today: date) -> Facts:
    late = kind * 60 // KINDS  # days, of every invoice that is late
    invoices = [
        Invoice(due, due + timedelta(days=late if number * KINDS < kind * 40 else 0))
        for number in range(40)
        for due in [today - timedelta(days=90 + 14 * number)]
    ]
    return Facts(
        as_of=today,
        invoices=tuple(invoices[: 1 + kind * 7 % 40]),
        utilisation=Decimal(kind * 37 % KINDS) / 100,
        orders=40,
        disputes=kind // 30,
        active_periods=13 - kind // 12,
        gaps=(14, 13, 15) * 8,
        customer_since=today - timedelta(days=30 + kind * 5),
    )


def write(today: date) -> None:
    """Make the table of scorings that the steps read."""
    shops = specimens(today)
    made = [score(shop, V1) for shop in shops]
    sql.execute(
        TABLE,
        {
            "n": list(range(KINDS)),
            "scores": [each.score for each in made],
            "inputs": [json.dumps(shop.as_json()) for shop in shops],
            "components": [json.dumps(each.as_json()) for each in made],
            "provisional": [each.is_provisional for each in made],
        },
    )

"""The search benchmark measures what the API runs, and leaves the database as it found it."""

import random

import pytest

from bench import search
from vendors.models import Product


def test_the_same_seed_makes_the_same_goods_and_terms():
    def made() -> tuple[list[search.Row], list[str]]:
        chance = random.Random(1)
        rows = list(search.goods(300, chance))
        return rows, search.terms(rows, 60, chance)

    rows, terms = made()
    assert (rows, terms) == made()
    assert len({row["sku"] for row in rows}) == 300
    assert all(set(search.COLUMNS) <= set(row) for row in rows)
    assert len(terms) == 60


def test_the_95th_percentile_is_one_of_the_times():
    figures = search.figures({str(n): float(n) for n in range(1, 101)})
    assert (figures.p50, figures.p95, figures.most, figures.slowest) == (50.5, 96.0, 100.0, "100")


@pytest.mark.django_db(transaction=True)
def test_measures_and_leaves_nothing_behind():
    result = search.measure(400, 40)
    assert (result["target"], result["goal"], result["met"]) == (3, 15.0, result["ours"] <= 15.0)
    assert result["terms"] >= 30
    assert (
        0 < result["figures"]["ours"]["p50"] <= result["ours"] <= result["figures"]["ours"]["most"]
    )
    assert not Product.objects.exists()

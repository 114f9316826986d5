"""The score: its scale, its parts, what it does when a shop pays earlier, and the documented examples."""

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credit.scoring import (
    MODELS,
    V1,
    Facts,
    Invoice,
    Model,
    advice,
    band,
    pay,
    rhythm,
    score,
    utilisation,
    variation,
    whole_points,
)
from credit.scoring.model import curve

TODAY = date(2026, 11, 26)
ROUNDED = 1  # the largest remainders are rounded up, so that a part may be off by less than a point
DOCUMENT = Path(__file__).parents[2] / "docs" / "credit-score.md"


def ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def due(days_ago: int, late: int | None = 0) -> Invoice:
    """An invoice due so many days ago, and paid so many days late; None: not yet."""
    if late is None:
        return Invoice(ago(days_ago), None, f"ORD-{days_ago}", Decimal(100))
    return Invoice(ago(days_ago), ago(days_ago - late))


def earned(facts: Facts) -> dict[str, int]:
    return {part.code: part.earned for part in score(facts, V1).components}


# Shops that could be

invoices = st.builds(
    lambda days, delay: due(days, None if delay is None or delay > days else delay),
    st.integers(-30, 900),
    st.none() | st.integers(-20, 200),
)


@st.composite
def shops(draw: st.DrawFn) -> Facts:
    orders = draw(st.integers(0, 300))
    days = draw(st.lists(st.integers(0, 800), max_size=30))
    trade = rhythm([ago(each) for each in days], TODAY, V1)
    return Facts(
        as_of=TODAY,
        invoices=tuple(draw(st.lists(invoices, max_size=25))),
        utilisation=draw(st.none() | st.decimals(0, 1, places=4)),
        orders=orders,
        disputes=draw(st.integers(0, orders)),
        active_periods=trade.active_periods,
        gaps=trade.gaps,
        customer_since=trade.customer_since,
        bounced_on=tuple(ago(each) for each in draw(st.lists(st.integers(0, 700), max_size=2))),
        is_written_off=draw(st.booleans()),
    )


# Properties


@given(shops())
def test_the_parts_add_up_to_the_score_and_none_exceeds_its_own(facts):
    made = score(facts, V1)
    assert 300 <= made.score <= 900
    assert 300 + sum(part.earned for part in made.components) + made.cap_points == made.score
    assert all(0 <= part.earned <= part.possible for part in made.components)
    assert sum(part.possible for part in made.components) == 600
    assert made.cap_points <= 0
    assert made.cap is None or made.score <= made.cap
    assert bool(made.reason) == (made.cap is not None)


@given(shops())
def test_what_is_stored_gives_the_same_score_again(facts):
    stored = json.loads(json.dumps(facts.as_json()))
    again = Facts.from_json(stored)
    assert score(again, MODELS["v1"]) == score(facts, V1)
    assert again.as_json() == facts.as_json()


@given(shops(), st.data())
def test_paying_earlier_never_lowers_it(facts, data):
    if not facts.invoices:
        return
    number = data.draw(st.integers(0, len(facts.invoices) - 1))
    paid = facts.invoices[number]
    latest = paid.settled or TODAY
    earlier = latest - timedelta(days=data.draw(st.integers(0, 200)))
    moved = pay(facts.invoices, paid, earlier)
    assert score(replace(facts, invoices=moved), V1).score >= score(facts, V1).score


@given(shops(), st.integers(1, 200))
def test_waiting_with_a_due_never_raises_it(facts, days):
    """An invoice due today, paid at once or after so many days, seen on that later day."""
    later = replace(facts, as_of=TODAY + timedelta(days=days))
    at_once = replace(later, invoices=(*facts.invoices, Invoice(TODAY, TODAY)))
    never = replace(later, invoices=(*facts.invoices, Invoice(TODAY, None, "ORD", Decimal(1))))
    at_last = replace(later, invoices=(*facts.invoices, Invoice(TODAY, later.as_of)))
    assert score(at_once, V1).score >= score(at_last, V1).score >= score(never, V1).score


@given(st.integers(0, 400), st.integers(0, 400))
def test_more_days_late_never_earn_more(a, b):
    less, more = sorted((a, b))
    assert V1.severity.at(Decimal(more)) <= V1.severity.at(Decimal(less))


@given(shops(), st.decimals(0, 1, places=4), st.decimals(0, 1, places=4))
def test_more_of_the_limit_in_use_never_earns_more(facts, a, b):
    less, more = sorted((a, b))
    assert (
        score(replace(facts, utilisation=more), V1).score
        <= score(replace(facts, utilisation=less), V1).score
    )


@given(shops())
def test_a_dispute_more_never_earns_more(facts):
    disputed = replace(facts, disputes=facts.disputes + 1)
    assert score(disputed, V1).score <= score(facts, V1).score


@given(st.dictionaries(st.text(max_size=3), st.decimals(0, 360, places=6), min_size=1, max_size=6))
def test_whole_points_add_up_to_the_sum_rounded_half_up(exact):
    whole = whole_points(exact)
    total = sum(Fraction(points) for points in exact.values())
    assert sum(whole.values()) == (total + Fraction(1, 2)).__floor__()
    assert all(abs(whole[code] - exact[code]) < 1 for code in exact)


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(-9_000, 9_000)), max_size=60))
@settings(max_examples=50)
def test_utilisation_is_the_mean_of_the_days(changes):
    """Against the plain way: add the entries up forwards, for each day anew."""
    by_day: dict[date, Decimal] = {}
    for days, amount in changes:
        by_day[ago(days)] = by_day.get(ago(days), Decimal(0)) + amount
    shares = []
    for days in range(90):
        debt = sum((v for day, v in by_day.items() if day <= ago(days)), Decimal(0))
        shares.append(min(max(Fraction(debt) / 10_000, Fraction(0)), Fraction(1)))
    found = utilisation(
        debt=sum(by_day.values(), Decimal(0)),
        limit=Decimal(10_000),
        changes=by_day,
        limits_before=[],
        since=ago(400),
        as_of=TODAY,
        model=V1,
    )
    assert abs(Fraction(found) - sum(shares) / 90) <= Fraction(1, 20_000)


# The ends of the scale, by shops that could be


def test_900_is_reached_by_a_shop_that_pays_everything_in_time():
    """Three deliveries a day for two years, each paid when due, on little of the limit."""
    facts = Facts(
        as_of=TODAY,
        invoices=tuple(due(days) for days in range(730) for _ in range(3)),
        utilisation=Decimal("0.2500"),
        orders=2190,
        active_periods=13,
        gaps=(1,) * 363,
        customer_since=ago(731),
    )
    made = score(facts, V1)
    assert (made.score, made.band, made.explanation) == (900, "excellent", [])


def test_300_is_reached_by_a_shop_that_took_all_it_could_and_went():
    """Seven deliveries a day for a year, on a limit long exceeded; then no order and no rupee."""
    facts = Facts(
        as_of=TODAY,
        invoices=tuple(due(days, None) for days in range(366, 729) for _ in range(7)),
        utilisation=Decimal("1.0000"),
        orders=3200,
        disputes=659,
        customer_since=ago(760),
    )
    made = score(facts, V1)
    assert (made.score, made.band, made.uncapped) == (300, "very_poor", 300)
    assert made.reason == "The oldest due is 728 days late (more than 90): at most 449"


# Each factor, at its corners


def test_a_stranger_starts_at_630():
    made = score(Facts(as_of=TODAY), V1)
    assert (made.score, made.band, made.is_provisional) == (630, "fair", True)
    assert earned(Facts(as_of=TODAY)) == {
        "payment": 216,
        "utilisation": 54,
        "disputes": 45,
        "consistency": 15,
        "tenure": 0,
    }


@pytest.mark.parametrize(("settled", "provisional"), [(0, True), (2, True), (3, False)])
def test_is_provisional_until_three_invoices_are_settled(settled, provisional):
    facts = Facts(as_of=TODAY, invoices=tuple(due(10) for _ in range(settled)))
    assert score(facts, V1).is_provisional is provisional


@pytest.mark.parametrize(
    ("days", "share"),
    [
        *((0, "1"), (7, "0.70"), (15, "0.50"), (30, "0.30"), (60, "0.15"), (90, "0")),
        *((11, "0.60"), (45, "0.225"), (91, "0"), (1000, "0")),
    ],
)
def test_severity(days, share):
    assert V1.severity.at(Decimal(days)) == Decimal(share)


@pytest.mark.parametrize(
    ("mean", "points"),
    [
        *(("0", 90), ("0.30", 90), ("0.50", 68), ("0.70", 45), ("0.90", 18), ("1", 0)),
        *(("0.40", 79), ("0.95", 9), (None, 54)),
    ],
)
def test_utilisation_points(mean, points):
    facts = Facts(as_of=TODAY, utilisation=None if mean is None else Decimal(mean))
    assert earned(facts)["utilisation"] == pytest.approx(points, abs=ROUNDED)


@pytest.mark.parametrize(
    ("disputes", "orders", "points"), [(0, 0, 45), (0, 90, 59), (10, 40, 0), (2, 15, 30)]
)
def test_dispute_points(disputes, orders, points):
    facts = Facts(as_of=TODAY, disputes=disputes, orders=orders)
    assert earned(facts)["disputes"] == pytest.approx(points, abs=ROUNDED)


def test_one_late_invoice_costs_what_the_formula_says():
    """By hand: one invoice 7 days late is 0 in time and 0.70 severe, mean 0.35; (0.35 + 3) / 6."""
    facts = Facts(as_of=TODAY, invoices=(due(30, 7),))
    assert earned(facts)["payment"] == round(360 * 3.35 / 6) == 201


def test_an_invoice_half_a_year_older_weighs_half():
    """In time 1 of weight 2^0 and late 0 of weight 2^-1: 2/3 in time, severity 2/3."""
    facts = Facts(as_of=TODAY, invoices=(due(0), due(180, 90)))
    expected = Fraction(2, 1) * Fraction(2, 3) + 3
    assert earned(facts)["payment"] == round(360 * expected / 7)


@pytest.mark.parametrize(("days", "counts"), [(-1, 0), (0, 1), (729, 1), (730, 0)])
def test_invoices_count_from_their_due_date_for_24_months(days, counts):
    facts = Facts(as_of=TODAY, invoices=(due(days, None if days <= 0 else 0),))
    assert len(facts.counted(V1)) == counts


@pytest.mark.parametrize(
    ("late", "cap"), [(30, None), (31, 649), (60, 649), (61, 549), (90, 549), (91, 449)]
)
def test_a_late_due_caps_the_score(late, cap):
    made = score(Facts(as_of=TODAY, invoices=(due(late, None),)), V1)
    assert made.cap == cap
    if cap:
        assert f"{late} days late" in made.reason
        assert made.reason.endswith(f"at most {cap}")


@pytest.mark.parametrize(("days", "cap"), [(0, 649), (90, 649), (91, None)])
def test_a_bounced_cheque_caps_the_score_for_90_days(days, cap):
    assert score(Facts(as_of=TODAY, bounced_on=(ago(days),)), V1).cap == cap


def test_the_lowest_cap_applies():
    facts = Facts(
        as_of=TODAY, invoices=(due(61, None),), bounced_on=(ago(1),), is_written_off=False
    )
    assert score(facts, V1).cap == 549
    assert score(replace(facts, is_written_off=True), V1).cap == 449


def test_a_due_older_than_24_months_caps_though_it_counts_no_more():
    facts = Facts(as_of=TODAY, invoices=(due(1000, None),))
    assert (facts.counted(V1), score(facts, V1).cap) == ([], 449)


@pytest.mark.parametrize(
    ("facts", "points"),
    [
        (Facts(as_of=TODAY), 15),
        # a customer who stopped
        (Facts(as_of=TODAY, customer_since=ago(500)), 0),
        # one order: 1 of 9.75 periods, and no gaps to judge
        (Facts(as_of=TODAY, customer_since=ago(5), active_periods=1), 11),
        # 10 of 13 are full; gaps 5 and 15 have a CV of 0.5: 2/3 is full too
        (Facts(as_of=TODAY, customer_since=ago(300), active_periods=10, gaps=(5, 15)), 60),
        (Facts(as_of=TODAY, customer_since=ago(300), active_periods=5, gaps=(1, 1, 1, 37)), 34),
    ],
)
def test_consistency_points(facts, points):
    assert earned(facts)["consistency"] == pytest.approx(points, abs=ROUNDED)


def test_variation_is_that_of_the_whole():
    assert variation((2, 4, 4, 4, 5, 5, 7, 9)) == Decimal(2) / 5


@pytest.mark.parametrize(
    ("since", "points"),
    [
        (date(2026, 10, 27), 0),
        (date(2026, 10, 26), 1),
        (date(2025, 11, 26), 15),
        (date(2024, 11, 27), 29),
        (date(2024, 11, 26), 30),
        (date(2015, 1, 1), 30),
    ],
)
def test_tenure_points(since, points):
    facts = Facts(as_of=TODAY, customer_since=since, active_periods=1)
    assert earned(facts)["tenure"] == pytest.approx(points, abs=ROUNDED)


def test_rhythm():
    days = [ago(n) for n in (0, 7, 14, 14, 27, 28, 363)]
    found = rhythm(days, TODAY, V1)
    assert found.active_periods == 3
    assert found.gaps == (335, 1, 13, 7, 7)
    assert found.customer_since == ago(363)


def test_a_year_without_an_order_begins_anew():
    assert rhythm([ago(900), ago(430), ago(66), ago(1)], TODAY, V1).customer_since == ago(430)
    assert rhythm([ago(900), ago(431), ago(66), ago(1)], TODAY, V1).customer_since == ago(66)


def test_utilisation_follows_the_limit_of_the_day():
    found = utilisation(
        debt=Decimal(500),
        limit=Decimal(1000),
        changes={ago(1): Decimal(500)},
        limits_before=[(ago(0), Decimal(2000))],
        since=ago(3),
        as_of=TODAY,
        model=V1,
    )
    # today 500 of 1,000; yesterday 500 of 2,000; two days nothing
    assert found == Decimal("0.1875")


@pytest.mark.parametrize(
    ("limit", "since", "debt", "found"),
    [
        (0, ago(9), 100, None),
        (100, None, 100, None),
        (100, ago(9), -50, "0.0000"),
        (100, ago(9), 250, "1.0000"),
    ],
)
def test_utilisation_without_a_limit_or_an_order_is_unknown(limit, since, debt, found):
    mean = utilisation(
        debt=Decimal(debt),
        limit=Decimal(limit),
        changes={},
        limits_before=[],
        since=since,
        as_of=TODAY,
        model=V1,
    )
    assert mean == (None if found is None else Decimal(found))


# In words


def test_the_largest_losses_are_told_with_their_numbers():
    facts = Facts(
        as_of=TODAY,
        invoices=(*(due(10 * n) for n in range(1, 8)), *(due(10 * n, 18) for n in range(2, 6))),
        utilisation=Decimal("0.8400"),
        orders=12,
        disputes=1,
        active_periods=6,
        gaps=(7, 7, 8, 20),
        customer_since=ago(200),
    )
    made = score(facts, V1)
    lost = {part.code: part.loss for part in made.components}
    assert made.explanation == [
        f"4 of 11 invoices late, worst 18 days: −{lost['payment']}",
        f"84 % of the limit in use on average of 90 days: −{lost['utilisation']}",
        f"A customer for 6 months, 24 earn all points: −{lost['tenure']}",
    ]


def test_advice_says_what_paying_would_do():
    facts = Facts(
        as_of=TODAY,
        invoices=(*(due(10 * n) for n in range(1, 12)), due(40, None)),
        orders=20,
        active_periods=13,
        gaps=(7,) * 10,
        customer_since=ago(400),
    )
    [said] = advice(facts, V1)
    assert (said.score, said.if_paid > 649, said.later_if_unpaid) == (649, True, 549)
    assert said.sentence == (
        f"ORD-40 (due 2026-10-17, 40 days late, NPR 100.00) paid today: {said.if_paid} instead of"
        f" 649; in 30 days {said.later_if_paid}, and 549 if it is still unpaid then"
    )


@given(shops())
@settings(max_examples=30)
def test_no_advice_is_to_wait(facts):
    for said in advice(facts, V1):
        assert said.if_paid >= said.score
        assert said.later_if_paid >= said.later_if_unpaid


@pytest.mark.parametrize("weights", [{"a": "0.5"}, {"a": "0.9999", "b": "0.0001"}, {"a": "1.1"}])
def test_a_model_whose_weights_are_not_all_the_points_is_refused(weights):
    with pytest.raises(ValueError, match="do not total 1"):
        Model(
            version="x",
            weights={code: Decimal(weight) for code, weight in weights.items()},
            severity=curve(("0", "1")),
            utilisation=curve(("0", "1")),
            disputes=curve(("0", "1")),
        )


# The documented examples


def documented() -> list[tuple[dict, dict]]:
    """Read the (facts, result) pairs of the document's json blocks."""
    blocks = DOCUMENT.read_text(encoding="utf-8").split("```json\n")[1:]
    read = [json.loads(block.split("```")[0]) for block in blocks]
    return list(zip(read[::2], read[1::2], strict=True))


def test_the_document_has_examples():
    assert len(documented()) >= 3


@pytest.mark.parametrize("number", range(4))
def test_a_documented_example(number):
    facts, result = documented()[number]
    made = score(Facts.from_json(facts), V1)
    assert result == {
        "points": {part.code: f"{part.earned} of {part.possible}" for part in made.components},
        "sum": made.uncapped,
        "cap": made.cap,
        "score": made.score,
        "band": band(made.score),
        "provisional": made.is_provisional,
        "explanation": made.explanation,
    }

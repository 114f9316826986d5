"""Durations in buckets: what is read from them is off by 4.8 % at most."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from khaacho import sql
from monitoring import durations

DAY = 86_400_000.0
ms = st.floats(min_value=0, max_value=DAY, allow_nan=False)


def counts(values):
    return dict(Counter(durations.bucket(value) for value in values))


@given(ms)
def test_a_bucket_stands_for_what_is_in_it(value):
    assert durations.value(durations.bucket(value)) == pytest.approx(
        value, rel=durations.ERROR + 1e-9, abs=1
    )


@given(st.lists(ms, min_size=1), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_off_by_no_more_than_a_bucket(values, share):
    exact = sorted(values)[math.ceil(share * len(values)) - 1]
    found = durations.percentile(counts(values), share)
    assert found == pytest.approx(exact, rel=durations.ERROR + 1e-9, abs=1)


@given(st.lists(ms), st.lists(ms))
def test_counts_of_two_minutes_add_up(first, second):
    texts = [{str(b): n for b, n in counts(values).items()} for values in (first, second)]
    assert durations.added(texts) == counts(first + second)


def test_of_nothing_there_is_no_percentile():
    assert durations.percentile({}, 0.95) is None


@pytest.mark.django_db
@pytest.mark.parametrize("value", [0, 0.4, 1, 1.05, 1.2, 10, 999, 12_345.6, DAY])
def test_postgresql_finds_the_same_bucket(value):
    expression = durations.BUCKET.format(since="'epoch'::timestamptz", until="moment")
    statement = f"SELECT {expression} FROM (SELECT 'epoch'::timestamptz + %s * interval '1 ms') AS t (moment)"
    assert sql.fetch(statement, [value]) == [(durations.bucket(value),)]

"""Weeks: made ahead, dropped after 30 days, by any number at once."""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import DatabaseError, connection, connections, transaction

from khaacho import jobs, schedules, sql
from monitoring.history import partitions, sampling
from tests.monitoring.history.sampling import DAY, make_sample, make_text, now, take
from tests.races import crowd, race

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])

TABLES = 4


def present():
    return {name for _, name in sql.fetch(partitions.EXISTING, [list(partitions.TABLES)])}


def drop_all():
    for name in present():
        sql.execute(f"DROP TABLE monitor.{name}")


@pytest.fixture(autouse=True)
def _no_weeks():
    drop_all()
    yield
    drop_all()


def this_week(table):
    return partitions._name(table, partitions.monday(now()))


def test_makes_this_week_and_those_ahead_once():
    made = partitions.make_ahead(2)
    assert set(made) == present()
    assert len(made) == 3 * TABLES
    assert this_week("statement_samples") in made
    assert partitions.make_ahead(2) == []


def test_nothing_missing_is_two_statements(django_assert_num_queries):
    partitions.make_ahead()
    with django_assert_num_queries(2):  # the time, and what is there
        assert partitions.make_ahead() == []


def test_two_at_once_make_each_week_once():
    assert crowd(partitions.make_ahead, 6) == {"ok": 6}
    assert len(present()) == 3 * TABLES


def test_makers_and_droppers_at_once_do_each_other_no_harm():
    partitions.make(now() - 60 * DAY, now())
    outcomes = race(
        *[partitions.keep, partitions.make_ahead, partitions.drop_old, sampling.take] * 2
    )
    assert outcomes == {"ok": 8}
    # the week that has the day 30 days ago, this one and two ahead
    first = partitions.monday(now() - 30 * DAY)
    weeks = {first + n * partitions.WEEK for n in range(8)}
    last = partitions.monday(now()) + 2 * partitions.WEEK
    wanted = {partitions._name(t, w) for t in partitions.TABLES for w in weeks if w <= last}
    assert present() == wanted


def test_weeks_have_the_same_indexes_as_their_table():
    partitions.make_ahead(0)
    [(attached, own)] = sql.fetch(
        "SELECT count(*) FILTER (WHERE h.inhparent IS NOT NULL), count(*)"
        " FROM pg_index i LEFT JOIN pg_inherits h ON h.inhrelid = i.indexrelid"
        " WHERE i.indrelid = %s::regclass",
        [f"monitor.{this_week('statement_samples')}"],
    )
    assert (attached, own) == (2, 2)


def test_a_week_begins_on_monday_in_utc():
    assert partitions.monday(datetime(2026, 11, 29, 23, 59, tzinfo=UTC)) == date(2026, 11, 23)
    assert partitions.monday(datetime(2026, 11, 30, 0, 0, tzinfo=UTC)) == date(2026, 11, 30)
    assert partitions._name("x", date(2026, 12, 28)) == "x_2026_w53"
    assert partitions._name("x", date(2027, 1, 4)) == "x_2027_w01"


def test_bounds_meet_over_the_turn_of_a_year():
    partitions.make(datetime(2026, 12, 20, tzinfo=UTC), datetime(2027, 1, 20, tzinfo=UTC))
    for day in range(20, 45):
        at = datetime(2026, 12, 1, tzinfo=UTC) + timedelta(days=day)
        sql.execute("INSERT INTO index_samples VALUES (%s, 1, 1, 0, 0, 0)", [at])
    assert sql.fetch("SELECT count(*) FROM index_samples") == [(25,)]
    ends = dict(partitions._ends())
    assert ends["index_samples_2026_w53"] == datetime(2027, 1, 4, tzinfo=UTC)


def test_drops_only_weeks_that_ended_30_days_ago():
    partitions.make(now() - 60 * DAY, now())
    before = present()
    dropped = partitions.drop_old()
    assert present() == before - set(dropped)
    ends = [end for _, end in partitions._ends()]
    assert min(ends) > now() - 30 * DAY
    assert len(dropped) >= 3 * TABLES
    assert partitions.drop_old() == []


def test_a_week_that_is_read_stays_until_the_next_time():
    partitions.make(now() - 60 * DAY, now())
    old = min(name for name in present() if name.startswith("table_samples"))
    with transaction.atomic(using="monitor"), connections["monitor"].cursor() as reader:
        reader.execute(f"SELECT count(*) FROM monitor.{old}")
        dropped = partitions.drop_old()
        assert dropped
        assert old in present()
    assert old in partitions.drop_old()


def test_making_a_week_does_not_wait_for_readers():
    partitions.make_ahead(0)
    with transaction.atomic(using="monitor"), connections["monitor"].cursor() as reader:
        reader.execute("SELECT count(*) FROM statement_samples")
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '3s'")
        try:
            assert len(partitions.make_ahead(1)) == TABLES
        finally:
            with connection.cursor() as cursor:
                cursor.execute("RESET lock_timeout")


def test_a_row_without_its_week_is_refused_by_name():
    with pytest.raises(DatabaseError, match='no partition of relation "index_samples" found'):
        sql.execute("INSERT INTO index_samples VALUES (%s, 1, 1, 0, 0, 0)", [now()])


def test_a_sample_makes_its_own_week():
    assert present() == set()
    take()
    assert present() == {this_week(table) for table in partitions.TABLES}


def test_the_job_keeps_thirty_days():
    old, young = now() - 31 * DAY, now() - 29 * DAY
    partitions.make(now() - 60 * DAY, now())
    for at in (old, young):
        make_sample(at)
        make_text(int(at.timestamp()), "SELECT 1", at)
    with transaction.atomic():
        job = jobs.enqueue("monitoring.keep_history")
    assert jobs.run(job)
    assert sql.fetch("SELECT sampled_at FROM samples") == [(young,)]
    assert sql.fetch("SELECT last_seen FROM statement_texts") == [(young,)]
    assert len(present()) >= 3 * TABLES


def test_missed_slots_are_skipped():
    """Of many that were missed, none is caught up: the current one alone gets a job."""
    known = schedules._schedules["sample of the database"]
    assert known.every == sampling.EVERY
    moment = now()
    slot = schedules.latest_slot(known.timing, moment)
    with transaction.atomic():
        assert not schedules._insert(known, slot - sampling.EVERY, moment)
        assert not schedules._insert(known, slot, slot + timedelta(minutes=5, seconds=1))
        assert schedules._insert(known, slot, slot + timedelta(minutes=4, seconds=59))

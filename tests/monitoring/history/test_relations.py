"""Growth, unused indexes and sequential reading, over made samples of real and made relations."""

from importlib import import_module

import pytest

from khaacho import sql
from monitoring.history import indexes, partitions, space, tables
from tests.monitoring.history.sampling import (
    DAY,
    HOUR,
    follow_indexes,
    make_database,
    make_index,
    make_table,
    now,
    run,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])

MB = 1024 * 1024


@pytest.fixture
def moment():
    at = now()
    partitions.make(at - 30 * DAY, at)
    return at


def test_growth_is_the_slope_of_all_samples(moment):
    for day in range(11):
        at = moment - (10 - day) * DAY
        make_database(at, bytes=1000 * MB + day * 50 * MB)
        make_table(at, "public.orders", 1, bytes=1, total=day * 30 * MB)
        make_table(at, "public.jobs", 2, total=900 * MB - day * MB)
    found = space.growth(days=30)
    assert found.database.is_database
    assert found.database.bytes == 1500 * MB
    assert found.database.bytes_per_day == pytest.approx(50 * MB, rel=1e-6)
    assert found.database.days_until(2000 * MB) == pytest.approx(10, rel=1e-6)
    assert found.database.days_until(1500 * MB) == 0
    assert [(t.name, t.bytes) for t in found.tables] == [
        ("public.orders", 300 * MB),
        ("public.jobs", 890 * MB),
    ]
    assert found.tables[1].bytes_per_day == pytest.approx(-MB, rel=1e-6)
    assert found.tables[1].days_until(1000 * MB) is None


def test_growth_of_the_last_days_alone(moment):
    for day, size in enumerate([0, 500, 500, 510, 520]):
        make_database(moment - (4 - day) * DAY + HOUR / 60, bytes=size * MB)
    assert space.growth(days=3).database.bytes_per_day == pytest.approx(7 * MB, rel=1e-6)


def test_growth_of_less_than_a_day_is_unknown(moment):
    for hour in range(3):
        make_database(moment - hour * HOUR, bytes=100 * MB - hour * MB)
    found = space.growth().database
    assert (found.bytes, found.bytes_per_day, found.days_until(200 * MB)) == (100 * MB, None, None)


def test_no_growth_before_the_first_sample():
    assert space.growth() == space.SpaceGrowth(None, [])


def test_dropped_tables_do_not_grow(moment):
    make_table(moment - 5 * HOUR, "public.gone", 1, total=MB)
    make_table(moment, "public.there", 2, total=MB)
    assert [each.name for each in space.growth().tables] == ["public.there"]


@pytest.fixture
def candidates(moment):
    """Indexes of a table of our own, each sampled twice a day for 15 days, never scanned."""
    run("CREATE TABLE shelf_owner (id int PRIMARY KEY)")
    run(
        "CREATE TABLE shelf (id int PRIMARY KEY, a int, b int UNIQUE, c int, owner_id int REFERENCES shelf_owner)"
    )
    run("CREATE INDEX shelf_a ON shelf (a)")
    run("CREATE INDEX shelf_c ON shelf (c)")
    run("CREATE UNIQUE INDEX shelf_c_once ON shelf (c, a)")
    run("CREATE INDEX shelf_owner_idx ON shelf (owner_id)")
    names = [
        name
        for (name,) in sql.fetch(
            "SELECT indexrelid::regclass::text FROM pg_index WHERE indrelid = 'shelf'::regclass"
        )
    ]
    for half in range(31):
        for name in names:
            make_index(moment - half * DAY / 2, name, 40)
    yield moment - 14 * DAY
    run("DROP TABLE shelf, shelf_owner")


def unused(since):
    follow_indexes()
    return {each.index for each in indexes.unused(since)}


def test_unused_are_those_without_another_task(candidates):
    assert unused(candidates) == {"shelf_a", "shelf_c"}
    [first, _] = indexes.unused(candidates)
    assert (first.table, first.samples) == ("shelf", 31)
    assert (first.since, first.until) == (candidates - DAY, candidates + 14 * DAY)


def test_the_second_index_of_a_foreign_key_may_be_unused(candidates):
    run("CREATE INDEX shelf_owner_twice ON shelf (owner_id, a)")
    assert "shelf_owner_idx" in unused(candidates)


def test_scanned_once_is_used(candidates):
    sql.execute(
        "UPDATE index_samples SET scans = 41 WHERE indexrelid = 'shelf_a'::regclass"
        " AND sampled_at > statement_timestamp() - interval '3 days'"
    )
    assert unused(candidates) == {"shelf_c"}


def test_scans_since_a_reset_count(candidates):
    sql.execute(
        "UPDATE index_samples SET scans = 1 WHERE indexrelid = 'shelf_a'::regclass"
        " AND sampled_at > statement_timestamp() - interval '3 days'"
    )
    sql.execute(
        "UPDATE index_samples SET scans = 0 WHERE indexrelid = 'shelf_c'::regclass"
        " AND sampled_at > statement_timestamp() - interval '3 days'"
    )
    assert unused(candidates) == {"shelf_c"}


def test_an_index_younger_than_that_is_not_unused(candidates):
    sql.execute(
        "DELETE FROM index_samples WHERE indexrelid = 'shelf_a'::regclass"
        " AND sampled_at < statement_timestamp() - interval '13 days'"
    )
    assert unused(candidates) == {"shelf_c"}


def test_an_index_that_was_not_watched_for_days_is_not_unused(candidates):
    sql.execute(
        "DELETE FROM index_samples WHERE indexrelid = 'shelf_a'::regclass AND sampled_at BETWEEN"
        " statement_timestamp() - interval '9 days' AND statement_timestamp() - interval '7 days'"
    )
    assert unused(candidates) == {"shelf_c"}


def test_an_index_that_the_last_samples_do_not_have_is_not_unused(candidates):
    sql.execute(
        "DELETE FROM index_samples WHERE sampled_at > statement_timestamp() - interval '25 hours'"
    )
    assert unused(candidates) == set()


def test_rests_are_forgotten_with_the_samples(candidates):
    follow_indexes()
    sql.execute(
        "UPDATE index_rests SET until = until - interval '31 days' WHERE indexrelid = 'shelf_a'::regclass"
    )
    before = sql.fetch("SELECT count(*) FROM index_rests")[0][0]
    partitions.keep()
    assert sql.fetch("SELECT count(*) FROM index_rests") == [(before - 1,)]


def test_the_migration_finds_the_same_in_samples_that_are_there(candidates):
    """With scans, gaps, and resets to nothing and to something."""
    for index, scans, age in (
        ("shelf_a", 41, 9),
        ("shelf_a", 0, 5),
        ("shelf_c", 3, 4),
        ("shelf_c_once", 0, 7),
        ("shelf_owner_idx", 50, 2),
    ):
        sql.execute(
            "UPDATE index_samples SET scans = %s WHERE indexrelid = %s::regclass"
            " AND sampled_at > statement_timestamp() - %s * interval '1 day'",
            [scans, index, age],
        )
    sql.execute(
        "DELETE FROM index_samples WHERE indexrelid = 'shelf_pkey'::regclass AND sampled_at BETWEEN"
        " statement_timestamp() - interval '9 days' AND statement_timestamp() - interval '7 days'"
    )
    follow_indexes()
    found = sql.fetch("TABLE index_rests ORDER BY indexrelid")
    assert len({since for _, since, *_ in found}) == 5
    sql.execute("DELETE FROM index_rests")
    sql.execute(import_module("monitoring.migrations.0022_index_rests").FILL)
    assert sql.fetch("TABLE index_rests ORDER BY indexrelid") == found


def test_unused_asks_for_fourteen_days(moment):
    with pytest.raises(ValueError, match="14 days"):
        indexes.unused(moment - 13 * DAY)


def test_pressure_is_what_was_read_within_the_window(moment):
    for hour, read in enumerate([9_000_000, 9_000_100, 9_000_300, 50]):
        at = moment - (3 - hour) * HOUR
        make_table(
            at,
            "public.big",
            1,
            bytes=9 * MB,
            seq_scan=10 + hour if hour < 3 else 1,
            seq_tup_read=read,
        )
        make_table(at, "public.small", 2, bytes=MB, seq_scan=hour, seq_tup_read=hour * 10**6)
        make_table(at, "public.idle", 3, bytes=90 * MB, seq_scan=7, seq_tup_read=10**9)
    [found] = tables.pressure(moment - 3 * HOUR, moment)
    assert (found.table, found.seq_scan, found.seq_tup_read) == ("public.big", 3, 350)
    assert found.tuples_per_scan == pytest.approx(350 / 3)
    [found] = tables.pressure(moment - 2 * HOUR, moment - HOUR)
    assert found.seq_tup_read == 200
    both = tables.pressure(moment - 3 * HOUR, moment, at_least_bytes=0)
    assert [each.table for each in both] == ["public.small", "public.big"]

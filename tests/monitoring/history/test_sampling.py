"""Samples of a real PostgreSQL: once a slot, only what moved, and whatever is lacking."""

import math
from datetime import timedelta
from statistics import fmean, pstdev

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from khaacho import jobs, schedules, sql
from khaacho.jobs.kinds import known
from monitoring.history import sampling, windows
from tests.monitoring.history.sampling import LONG_AGO, Statement, now, run, take
from tests.races import crowd

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])


def test_what_ran_before_the_first_sample_is_of_no_window():
    statement = Statement()
    statement.run()
    assert take().statements > 0
    assert statement.added() == []
    statement.run()
    take()
    assert statement.added() == [(1, 1)]


def test_only_what_moved_has_a_row():
    statement = Statement(tail=" FROM generate_series(1, 2)")
    take()
    statement.run(times=3)
    take()
    take()
    assert statement.added() == [(3, 6)]
    [(calls, squares, mean)] = sql.fetch(
        "SELECT calls, exec_ms_squares, exec_ms / calls FROM statement_samples WHERE queryid = %s",
        [statement.queryid],
    )
    [(truth,)] = sql.fetch(
        "SELECT stddev_exec_time FROM monitor.statements(false) WHERE queryid = %s",
        [statement.queryid],
    )
    assert math.sqrt(max(0, squares / calls - mean**2)) == pytest.approx(truth, rel=1e-3, abs=1e-6)


MEASURED = (
    "pg_sleep({}), 1000 * extract(epoch FROM clock_timestamp() - statement_timestamp())::float8"
)


def test_window_is_within_two_percent_of_the_truth():
    """Of a statement that measures each of its calls, and also ran before and after the window."""
    statement = Statement(MEASURED.format(0.1))
    statement.run()
    take()
    since = now()
    truth = [statement.run(head=MEASURED.format(seconds))[1] for seconds in (0.2, 0.6, 0.4, 1.2)]
    until = take().sampled_at
    statement.run(times=2)
    take()
    [found] = [w for w in windows.statements(since, until) if w.queryid == statement.queryid]
    assert (found.calls, found.rows) == (4, 4)
    assert found.mean_ms == pytest.approx(fmean(truth), rel=0.02)
    assert found.stddev_ms == pytest.approx(pstdev(truth), rel=0.02)
    assert found.max_ms == pytest.approx(max(truth), rel=0.02)
    assert found.text.startswith("SELECT pg_sleep($1), $2")


def test_window_equals_the_difference_of_the_counters():
    """Against PostgreSQL's own figures of another reading, exactly."""
    statement = Statement("count(*)", " FROM generate_series(1, 100000)")
    statement.run()
    truth = (
        "SELECT calls, total_exec_time, calls * (stddev_exec_time ^ 2 + mean_exec_time ^ 2)"
        " FROM monitor.statements(false) WHERE queryid = %s"
    )
    before = sql.fetch(truth, [statement.queryid])[0]
    take()
    since = now()
    for size in (1000, 200_000, 50_000, 3):
        statement.tail = f" FROM generate_series(1, {size})"
        statement.run()
    take()
    after = sql.fetch(truth, [statement.queryid])[0]
    calls, total, squares = (b - a for a, b in zip(before, after, strict=True))
    found = windows.statement(statement.queryid, since, now())
    assert found.calls == calls == 4
    assert found.mean_ms == pytest.approx(total / calls, rel=1e-9)
    deviation = math.sqrt(squares / calls - (total / calls) ** 2)
    assert found.stddev_ms == pytest.approx(deviation, rel=1e-6)


def test_counters_that_went_back_count_from_zero():
    """As after a reset, a crash, or an entry that was evicted and came again."""
    statement = Statement()
    statement.run()
    take()
    sql.execute(
        "UPDATE statement_counters SET calls = 1000, rows = 1000 WHERE queryid = %s",
        [statement.queryid],
    )
    statement.run()
    take()
    assert statement.added() == [(2, 2)]


def test_an_entry_that_was_away_counts_from_zero():
    statement = Statement()
    statement.run()
    take()
    sql.execute("DELETE FROM statement_counters WHERE queryid = %s", [statement.queryid])
    statement.run()
    take()
    assert statement.added() == [(2, 2)]


def test_all_count_from_zero_when_all_were_reset_since_the_last_sample():
    """Also those that have outgrown what they were: here the last sample is made older than the reset."""
    statement = Statement()
    statement.run()
    take()
    statement.run(times=3)
    [(reset,)] = sql.fetch("SELECT stats_reset FROM monitor.statements_info()")
    sql.execute(
        "UPDATE samples SET sampled_at = %s, previous_at = NULL", [reset - timedelta(minutes=1)]
    )
    take()
    assert statement.added() == [(4, 4)]


def test_counters_of_entries_that_are_gone_are_forgotten():
    take()
    sql.execute(
        "INSERT INTO statement_counters SELECT 4711, userid, toplevel, 5, 5, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0"
        " FROM statement_counters LIMIT 1"
    )
    take()
    assert sql.fetch("SELECT FROM statement_counters WHERE queryid = 4711") == []


def test_statements_of_others_that_one_may_now_see_are_no_new_ones():
    statement = Statement()
    statement.run()
    take()
    sql.execute("DELETE FROM statement_counters WHERE queryid = %s", [statement.queryid])
    sql.execute("UPDATE samples SET sees_all = false")
    take()
    assert statement.added() == []
    statement.run()
    take()
    assert statement.added() == [(1, 1)]


def test_slowest_call_is_known_where_it_beat_all_before():
    statement = Statement("pg_sleep(0.1)")
    take()
    statement.run()
    take()
    statement.run(head="pg_sleep(0.01)")
    take()
    [(first,), (second,)] = sql.fetch(
        "SELECT max_ms FROM statement_samples WHERE queryid = %s ORDER BY sampled_at",
        [statement.queryid],
    )
    assert 100 <= first < 1000
    assert second is None


def test_texts_are_masked():
    run("CREATE ROLE keeper PASSWORD 'hunter2'")
    run("DROP ROLE keeper")
    take()
    texts = [text for (text,) in sql.fetch("SELECT text FROM statement_texts")]
    assert "CREATE ROLE keeper PASSWORD '***'" in texts
    assert not any("hunter2" in text for text in texts)


def test_texts_remember_when_they_were_seen_to_the_hour():
    statement = Statement()
    statement.run()
    first = take().sampled_at
    statement.run()
    take()
    seen = "SELECT first_seen, last_seen FROM statement_texts WHERE queryid = %s"
    number = statement.queryid
    assert sql.fetch(seen, [number]) == [(first, first)]
    sql.execute("UPDATE statement_texts SET last_seen = last_seen - interval '61 minutes'")
    statement.run()
    last = take().sampled_at
    assert sql.fetch(seen, [number]) == [(first, last)]


def test_a_slot_has_one_sample():
    slot = LONG_AGO - timedelta(days=1)
    assert sampling.take(slot) is not None
    assert sampling.take(slot) is None
    assert sql.fetch("SELECT count(*) FROM samples") == [(1,)]


def test_slots_are_those_of_the_schedule():
    sample = sampling.take()
    [(slot,)] = sql.fetch("SELECT slot FROM samples")
    timing = schedules._schedules["sample of the database"].timing
    assert slot == schedules.latest_slot(timing, sample.sampled_at)


def test_samplers_at_once_store_one_sample():
    statement = Statement()
    statement.run()
    take()
    statement.run()
    slot = LONG_AGO - timedelta(days=2)
    assert crowd(lambda: sampling.take(slot), 5) == {"ok": 5}
    assert sql.fetch("SELECT count(*) FROM samples WHERE slot = %s", [slot]) == [(1,)]
    assert statement.added() == [(1, 1)]


def test_samplers_of_different_slots_add_nothing_twice():
    statement = Statement()
    statement.run()
    take()
    statement.run()
    slots = [LONG_AGO - timedelta(days=3 + n) for n in range(4)]
    crowd([lambda slot=slot: sampling.take(slot) for slot in slots], 4)
    assert sum(calls for calls, _ in statement.added()) == 1


def test_number_of_statements_is_fixed():
    take()
    with CaptureQueriesContext(
        connection,
    ) as few:
        take()
    for _ in range(40):
        Statement().run()
    with CaptureQueriesContext(connection) as many:
        take()
    assert len(few) == len(many) < 30


def test_stores_the_rest_without_the_extension():
    take()
    run("DROP EXTENSION pg_stat_statements")
    try:
        sql.execute("UPDATE samples SET has_relations = false")
        sample = take()
    finally:
        run("CREATE EXTENSION pg_stat_statements")
    assert sample.statements is None
    assert sample.note == "lacking: pgss.extension"
    at = [sample.sampled_at]
    assert sql.fetch("SELECT count(*) FROM database_samples WHERE sampled_at = %s", at) == [(1,)]
    assert sql.fetch("SELECT count(*) > 20 FROM table_samples WHERE sampled_at = %s", at) == [
        (True,)
    ]
    again = take()
    assert again.statements > 0
    assert again.note == ""


def test_statements_go_on_where_the_extension_was_lacking():
    """Its library counts on: what ran meanwhile is in the first sample afterwards, with its span."""
    statement = Statement()
    statement.run()
    first = take()
    run("DROP EXTENSION pg_stat_statements")
    statement.run()
    take()
    run("CREATE EXTENSION pg_stat_statements")
    last = take()
    assert statement.added() == [(1, 1)]
    assert sql.fetch(
        "SELECT statements_since FROM samples WHERE sampled_at = %s", [last.sampled_at]
    ) == [(first.sampled_at,)]


def test_stores_the_rest_when_statements_cannot_be_read():
    run("ALTER FUNCTION monitor.statements(boolean) RENAME TO elsewhere")
    try:
        sample = take()
    finally:
        run("ALTER FUNCTION monitor.elsewhere(boolean) RENAME TO statements")
    assert sample.note == "failed: ProgrammingError"
    assert sql.fetch("SELECT count(*) FROM database_samples") == [(1,)]


def test_relations_are_sampled_once_an_hour():
    assert take().has_relations
    assert not take().has_relations
    sql.execute(
        "UPDATE samples SET sampled_at = sampled_at - interval '1 hour',"
        " previous_at = previous_at - interval '1 hour'"
    )
    assert take().has_relations
    [(tables, indexes)] = sql.fetch(
        "SELECT (SELECT count(*) FROM table_samples WHERE relation = 'public.orders'),"
        " (SELECT count(*) FROM index_samples i JOIN pg_class c ON c.oid = i.indexrelid"
        "  WHERE c.relname = 'orders_pkey')"
    )
    assert (tables, indexes) == (2, 2)
    rest = "SELECT samples FROM index_rests WHERE indexrelid = 'order_refusals_pkey'::regclass"
    assert sql.fetch(rest) == [(2,)]


def test_counters_are_not_compared_each_with_each_where_the_planner_takes_them_for_few():
    take()
    sql.execute("DELETE FROM statement_counters")
    sql.execute("ANALYZE statement_counters")
    for sampled in (False, True):
        with transaction.atomic():
            if sampled:  # what it set lasts until the transaction ends
                take()
            lines = sql.fetch(f"EXPLAIN {sampling.STATEMENTS}", {"at": now()})
        plan = "\n".join(line for (line,) in lines)
        if sampled or connection.pg_version < 160000:  # newer ones are not always taken in
            assert ("Nested Loop Anti Join" in plan) == (not sampled), plan


def test_sizes_are_those_of_the_table_with_all_that_belongs_to_it():
    take()
    [(total, truth)] = sql.fetch(
        "SELECT total_bytes, (SELECT sum(pg_relation_size(c.oid)) FROM pg_class c WHERE c.oid = 'report_files'::regclass"
        "   OR c.oid IN (SELECT reltoastrelid FROM pg_class WHERE oid = 'report_files'::regclass)"
        "   OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid IN ('report_files'::regclass,"
        "     (SELECT reltoastrelid FROM pg_class WHERE oid = 'report_files'::regclass))))"
        " FROM table_samples WHERE relation = 'public.report_files'"
    )
    assert total == truth > 0


def test_the_job_takes_the_sample():
    assert known["monitoring.take_sample"].atomic
    with transaction.atomic():
        job = jobs.enqueue("monitoring.take_sample")
    assert jobs.run(job)
    assert sql.fetch("SELECT count(*) FROM samples") == [(1,)]

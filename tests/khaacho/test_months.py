"""Months: cut off the open end ahead of time, whatever was neglected, and append-only from the first row on."""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.core.management import call_command
from django.db import IntegrityError, ProgrammingError, connection, connections, models, transaction

from bench.scale.explain import explained
from khaacho import audit, jobs, months, sql
from khaacho.actors import SYSTEM
from khaacho.adminsite.paginator import BoundedPaginator
from khaacho.models import AuditLog, User
from khaacho.months import Part
from tests import months as shape
from tests.clock import moved_clock
from tests.conftest import flush
from tests.factories import make_user
from tests.months import TABLE, insert, name, names, rows, tables, this_month, where
from tests.races import race

DAY = timedelta(days=1)


@pytest.fixture
def clock(db):
    with moved_clock() as clock:
        yield clock


def settle() -> None:
    """Let pending checks of foreign keys be done, as the end of a transaction does."""
    sql.execute("SET CONSTRAINTS ALL IMMEDIATE")


def record(entity_id: int) -> None:
    audit.record(SYSTEM, "order.paid", entity_type="order", entity_id=entity_id)
    settle()


# Which month


def test_a_month_is_kathmandu_s():
    before = datetime(2026, 11, 30, 18, 14, 59, tzinfo=UTC)
    after = datetime(2026, 11, 30, 18, 15, tzinfo=UTC)
    assert f"{months.begin_of(before):%Y-%m-%d %H:%M}" == "2026-11-01 00:00"
    assert months.begin_of(after) == after
    assert months.after(after) == datetime(2026, 12, 31, 18, 15, tzinfo=UTC)
    assert months.after(after, -12) == datetime(2025, 11, 30, 18, 15, tzinfo=UTC)


@pytest.mark.django_db
def test_the_migration_left_one_part_three_months_or_more_and_an_open_end():
    found = months.parts(TABLE)
    assert (found[0].since, found[-1].until, found[-1].name) == (None, None, "audit_logs_later")
    assert found[0].name.startswith("audit_logs_until_")
    assert [part.until for part in found[:-1]] == [part.since for part in found[1:]]
    assert found[-1].since >= this_month(4)


# The months go by


def test_each_month_gets_its_rows_as_time_goes_by(clock):
    first = this_month(5)
    for number in range(3):
        clock.set(months.after(first, number) + DAY)
        made = months.make_ahead()
        assert name(months.after(first, number + 3)) in made
        record(number)
        assert where(number) == [name(months.after(first, number))]
        assert months.make_ahead() == []
    assert not months.spilled(TABLE)


def test_nothing_missing_is_two_statements(db, django_assert_num_queries):
    with django_assert_num_queries(2):  # the time, and what is there
        assert months.make_ahead() == []


def test_what_was_written_while_no_month_was_made_stays_in_one_part(clock):
    neglected = months.made_until(TABLE)
    for number in range(3):
        clock.set(months.after(neglected, number) + DAY)
        record(number)
        assert where(number) == ["audit_logs_later"]
    before = rows()
    clock.set(months.after(neglected, 2) + 2 * DAY)
    made = months.make_ahead()
    kept = name(months.after(neglected, 2)).replace("logs_", "logs_until_")
    assert made == [kept, *(name(months.after(neglected, n)) for n in (3, 4, 5))]
    assert [where(number) for number in range(3)] == [[kept]] * 3
    assert rows() == before
    assert not months.spilled(TABLE)
    [part] = [part for part in months.parts(TABLE) if part.name == kept]
    assert (part.since, part.until) == (neglected, months.after(neglected, 3))
    record(9)
    assert where(9) == [kept]


def test_rows_of_a_clock_that_went_wrong_block_no_month(clock):
    end = months.made_until(TABLE)
    insert(end + DAY, 1)  # of the month that is made next
    insert(datetime(2099, 5, 5, tzinfo=UTC), 2)
    settle()
    before = rows()
    clock.set(months.after(end, -3) + DAY)
    assert months.make_ahead() == [name(end)]
    assert (where(1), where(2)) == ([name(end)], ["audit_logs_later"])
    clock.set(months.after(end, 1) + DAY)
    assert months.make_ahead() == [name(months.after(end, n)) for n in (1, 2, 3, 4)]
    assert rows() == before
    assert "audit_logs_spilled" not in tables()


def test_late_rows_and_rows_of_the_future_at_once(clock):
    end = months.made_until(TABLE)
    clock.set(end + DAY)
    record(1)
    insert(months.after(end, 2) + DAY, 2)
    settle()
    months.make_ahead()
    kept = name(end).replace("logs_", "logs_until_")
    assert (where(1), where(2)) == ([kept], [name(months.after(end, 2))])


def test_ids_go_on_whatever_part_a_row_is_in(clock):
    record(1)
    clock.set(months.after(months.made_until(TABLE)) + DAY)
    record(2)
    months.make_ahead()
    record(3)
    first, second, third = AuditLog.objects.order_by("id").values_list("pk", flat=True)
    assert (second, third) == (first + 1, first + 2)


# Append-only


@pytest.mark.django_db
def test_no_part_gives_up_a_row_by_any_road():
    for part in months.parts(TABLE):
        insert(part.since or part.until - DAY, 7)
    settle()
    count = len(names())
    assert len(rows()) == count
    for of in ("public.audit_logs", *(f"months.{each}" for each in names())):
        for statement in (
            f"UPDATE {of} SET reason = 'nobody'",
            f"DELETE FROM {of}",
            f"TRUNCATE {of}",
        ):
            with (
                pytest.raises(IntegrityError, match="audit_logs is append-only"),
                transaction.atomic(),
            ):
                sql.execute(statement)
    assert len(rows()) == count


def test_a_month_made_later_is_append_only(clock):
    clock.set(months.made_until(TABLE) + DAY)
    made = months.make_ahead()
    clock.set(this_month(2) + DAY)
    record(1)
    [part] = where(1)
    assert part in made
    for statement in (f"UPDATE months.{part} SET reason = ''", f"TRUNCATE months.{part}"):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            sql.execute(statement)


# What is read


def filled(count: int = 40, who: int | None = None) -> list[str]:
    """Write as many entries into each part, and let the planner know; return the parts."""
    found = months.parts(TABLE)
    for part in found:
        for number in range(count):
            at = (part.since or part.until - DAY) + timedelta(minutes=number)
            insert(at, number % 4, user_id=who)
    settle()
    for part in found:
        sql.execute(f"ANALYZE months.{part.name}")
    return [part.name for part in found]


def opened(call: Callable[[], object]) -> tuple[str, list[str], set[str]]:
    """Return how parts are brought together, those of them that are read, and by which kinds of nodes."""
    sql.execute("SET LOCAL enable_seqscan = off")  # of a few rows it would be cheaper
    sql.execute("SET LOCAL enable_bitmapscan = off")
    [statement] = explained(call)
    node = statement.plan
    while node["Node Type"] not in ("Append", "Merge Append"):
        node = node["Plans"][0]
    read = [each for each in node["Plans"] if each["Actual Loops"]]
    return (
        node["Node Type"],
        [each["Relation Name"] for each in read],
        {each["Node Type"] for each in node["Plans"]},
    )


@pytest.mark.django_db
def test_the_newest_entries_of_an_object_or_a_person_are_in_the_newest_months_alone():
    user = make_user()
    *_, before, newest = filled(who=user.pk)
    of_object = AuditLog.objects.filter(entity_type="order", entity_id=1)
    how, read, nodes = opened(lambda: list(of_object.order_by("-created_at")[:10]))
    assert (how, read, nodes) == ("Append", [newest], {"Index Scan"})
    how, read, _ = opened(lambda: list(of_object.order_by("-created_at")[:15]))
    assert (how, read) == ("Append", [newest, before])
    of_person = AuditLog.objects.filter(user=user).order_by("-created_at", "-pk")
    assert opened(lambda: list(of_person[:30]))[:2] == ("Append", [newest])


@pytest.mark.django_db
def test_a_time_leaves_out_the_other_months():
    first, *_ = filled()
    early = AuditLog.objects.filter(entity_type="order", entity_id=1, created_at__lt=this_month(1))
    [statement] = explained(lambda: list(early))
    assert {node.relation for node in statement.nodes if node.relation} == {first}


@pytest.mark.django_db
def test_the_list_by_id_walks_the_keys_of_all_months():
    every = filled()
    how, read, nodes = opened(lambda: list(AuditLog.objects.order_by("-pk")[:20]))
    assert (how, set(read), nodes) == ("Merge Append", set(every), {"Index Scan"})


def estimate(model: type[models.Model]) -> int:
    return BoundedPaginator(model._default_manager.order_by("pk"), 50)._estimate


@pytest.mark.django_db
def test_a_list_says_about_how_many_there_are():
    count = len(filled(25)) * 25
    # as it is until somebody analyses the table as a whole, which autovacuum never does
    sql.execute("UPDATE pg_class SET reltuples = -1 WHERE oid = 'audit_logs'::regclass")
    assert estimate(AuditLog) == count
    sql.execute("ANALYZE audit_logs")
    assert estimate(AuditLog) == count
    sql.execute("ANALYZE users")
    assert estimate(User) == User.objects.count()


# Many at once


@pytest.mark.django_db(transaction=True)
def test_entries_are_written_while_months_are_made():
    with shape.as_before():
        end = months.made_until(TABLE)
        left = {"more": True}
        written = [0]

        def write() -> None:
            while left["more"]:
                audit.record(SYSTEM, "order.paid", entity_type="order", entity_id=5)
                insert(end + DAY, 6)  # into the open end
                written[0] += 1

        def make() -> None:
            try:
                for more in (4, 5, 6, 7):
                    for _ in range(50):  # whoever finds the table in use for long steps back
                        if months.make_ahead(more) or not months.wanting(more):
                            break
            finally:
                left["more"] = False

        assert race(write, make, make) == {"ok": 3}
        assert months.wanting(7) == []
        assert AuditLog.objects.filter(entity_id=5).count() == written[0] > 0
        assert AuditLog.objects.filter(entity_id=6).count() == written[0]
        assert where(6) == [name(end)] * written[0]


@pytest.mark.django_db(transaction=True)
def test_who_looks_while_a_part_is_dropped_sees_it_as_it_was():
    with shape.as_before():
        end = months.made_until(TABLE)
        insert(
            end + DAY, 6
        )  # so that a new open end takes the place of the old one, which is dropped
        other = connection.copy()
        try:
            with other.cursor() as cursor:
                cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
                cursor.execute("SELECT 1")
                assert months.make_ahead(7)

                def as_it_was(statement, params):
                    cursor.execute(statement, params)
                    return cursor.fetchall()

                assert months.made_until(TABLE, as_it_was) == end < months.made_until(TABLE)
        finally:
            other.close()


@pytest.mark.django_db(transaction=True)
def test_who_holds_the_table_is_left_alone(caplog):
    with shape.as_before():
        holds, done = threading.Event(), threading.Event()

        def hold() -> None:
            with transaction.atomic():
                sql.fetch("SELECT count(*) FROM audit_logs")
                holds.set()
                done.wait(30)
            connections.close_all()

        holder = threading.Thread(target=hold)
        holder.start()
        try:
            assert holds.wait(30)
            with caplog.at_level(logging.WARNING):
                assert months.make_ahead(4) == []
        finally:
            done.set()
            holder.join(30)
        assert "months.not_made" in {each.message for each in caplog.records}
        assert sql.fetch("SHOW lock_timeout") != [(months.PATIENCE,)]
        assert months.make_ahead(4) == [name(this_month(4))]


@pytest.mark.django_db(transaction=True)
def test_the_nightly_job_makes_them():
    with shape.as_before():
        original, *_ = months.parts(TABLE)
        shape.reshape(
            [
                Part(original.name, None, original.until),
                Part("audit_logs_later", original.until, None),
            ]
        )
        assert months.wanting() == [TABLE]
        with transaction.atomic():
            job = jobs.enqueue("monitoring.keep_history")
        assert jobs.run(job)
        assert months.wanting() == []


# The migration


def inserter(stop: threading.Event, ids: list[int]) -> threading.Thread:
    """Write entries without an end, each in a transaction of its own, as a site does meanwhile."""

    def write() -> None:
        with connection.cursor() as cursor:
            while not stop.is_set():
                cursor.execute(
                    "INSERT INTO audit_logs (action, entity_type, entity_id, old_values, new_values, reason)"
                    " VALUES ('order.paid', 'order', 8, '{}', '{}', '') RETURNING id"
                )
                ids.append(cursor.fetchone()[0])
                stop.wait(0.005)
        connections.close_all()

    thread = threading.Thread(target=write)
    thread.start()
    return thread


@pytest.mark.django_db(transaction=True)
def test_the_migration_loses_nothing_there_and_back_under_load():
    stop, ids = threading.Event(), []
    thread = inserter(stop, ids)
    try:
        insert(this_month(2), 9)  # of a younger part: it is copied back
        insert(datetime(2020, 1, 1, tzinfo=UTC), 9)
        sql.execute("GRANT SELECT ON audit_logs TO pg_read_all_stats")
        sql.execute("COMMENT ON TABLE audit_logs IS 'who did what'")
        call_command("migrate", "khaacho", "0012", verbosity=0)
        assert sql.fetch("SELECT relkind FROM pg_class WHERE relname = 'audit_logs'") == [("r",)]
        assert sql.fetch("SELECT to_regnamespace('months')") == [(None,)]
        assert indexes() == {"audit_logs_pkey": "(id)", **TWO}
        refused("audit_logs")
        said = debug_messages()
        call_command("migrate", "khaacho", verbosity=0)
        # else ATTACH would read the whole table under its lock
        first = months.parts(TABLE)[0].name
        assert [each for each in said if first in each and "implied by existing" in each]
    finally:
        sql.execute("RESET client_min_messages")
        call_command("migrate", verbosity=0)
        stop.set()
        thread.join(30)
    assert sql.fetch("SELECT relkind FROM pg_class WHERE relname = 'audit_logs'") == [("p",)]
    assert indexes() == {"audit_logs_pkey": "(id, created_at)", **TWO}
    assert len(ids) > 20
    assert ids == sorted(set(ids))
    assert [row[0] for row in rows() if row[3] == 8] == ids
    assert len(where(9)) == 2
    # the row of a month to come is within the first part, which ends after it
    assert months.parts(TABLE)[0].until == this_month(3)
    assert months.wanting() == []
    [(comment, grants)] = sql.fetch(
        "SELECT obj_description(oid, 'pg_class'), relacl::text FROM pg_class WHERE oid = 'audit_logs'::regclass"
    )
    assert comment == "who did what"
    assert "pg_read_all_stats=r" in grants
    refused("audit_logs")
    sql.execute("REVOKE SELECT ON audit_logs FROM pg_read_all_stats")
    sql.execute("COMMENT ON TABLE audit_logs IS NULL")


@pytest.mark.django_db(transaction=True)
def test_the_migration_goes_back_when_the_first_part_was_archived():
    first, second, *_ = months.parts(TABLE)
    assert second.since is not None
    insert(second.since, 3)
    before = rows()
    sql.execute(f"ALTER TABLE audit_logs DETACH PARTITION months.{first.name}")
    sql.execute(f"DROP TABLE months.{first.name}")
    try:
        call_command("migrate", "khaacho", "0012", verbosity=0)
        assert rows() == before
        assert indexes() == {"audit_logs_pkey": "(id)", **TWO}
        refused("audit_logs")
        call_command("migrate", verbosity=0)
        assert rows() == before
        assert indexes() == {"audit_logs_pkey": "(id, created_at)", **TWO}
    finally:  # there and back without a row: else the first part would end a month later each time
        flush()
        call_command("migrate", "khaacho", "0012", verbosity=0)
        call_command("migrate", verbosity=0)


@pytest.mark.django_db(transaction=True)
def test_the_migration_wants_no_entry_of_a_far_future():
    call_command("migrate", "khaacho", "0013", verbosity=0)
    try:
        insert(datetime(2099, 5, 5, tzinfo=UTC), 9)
        with pytest.raises(ProgrammingError, match="audit_logs has entries of 2099-05-05"):
            call_command("migrate", "khaacho", verbosity=0)
    finally:
        flush()
        call_command("migrate", verbosity=0)
    assert months.wanting() == []


def debug_messages() -> list[str]:
    """Return a list to which PostgreSQL's messages for developers are added from now on."""
    said: list[str] = []
    connection.ensure_connection()
    connection.connection.add_notice_handler(lambda each: said.append(each.message_primary))
    sql.execute("SET client_min_messages = debug1")
    return said


TWO = {
    "audit_user_created_idx": "(user_id, created_at DESC)",
    "audit_entity_created_idx": "(entity_type, entity_id, created_at DESC)",
}


def indexes() -> dict[str, str]:
    found = sql.fetch(
        "SELECT indexrelid::regclass::text, substring(pg_get_indexdef(indexrelid) FROM '\\(.*')"
        " FROM pg_index WHERE indrelid = 'public.audit_logs'::regclass AND indisvalid"
    )
    return dict(found)


def refused(of: str) -> None:
    for statement in (f"DELETE FROM {of}", f"TRUNCATE {of}"):
        with pytest.raises(IntegrityError, match="audit_logs is append-only"):
            sql.execute(statement)

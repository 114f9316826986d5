"""Releases and what became slower with them: made samples, and one real workload."""

from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from khaacho import sql
from khaacho.enums import Role
from monitoring.history import partitions
from monitoring.history import regressions as compare
from monitoring.history.models import ReleaseMarker
from monitoring.history.regressions import Calls, least_growth, regressions, student
from tests.factories import make_user
from tests.monitoring.history.sampling import (
    DAY,
    HOUR,
    MINUTE,
    Statement,
    make_sample,
    make_statement,
    make_text,
    now,
    take,
)

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])

FIVE = 5 * MINUTE


@pytest.fixture
def marker():
    """A release between two samples, with twelve samples before and twelve after."""
    at = (now() - 2 * HOUR).replace(second=0, microsecond=0)
    partitions.make(at - DAY, at + DAY)
    for number in range(-12, 13):
        moment = at + number * FIVE
        make_sample(moment, moment - FIVE)
    return ReleaseMarker.objects.create(name="v2", released_at=at + 2 * MINUTE)


def make(marker, number, before, after, *, seen=None):
    """Make a statement's calls, (count, mean, deviation) a sample, in two samples on either side."""
    start = marker.released_at - 2 * MINUTE
    for step in (-3, -2):
        make_statement(
            start + step * FIVE, number, before[0], before[1], before[2]
        ) if before else None
    for step in (2, 3):
        make_statement(start + step * FIVE, number, after[0], after[1], after[2]) if after else None
    make_text(number, f"SELECT {number}", seen or start - HOUR)


def found(marker, **options):
    return [each.queryid for each in regressions(marker, **options)]


def test_slower_ones_are_found_by_added_time(marker):
    make(marker, 1, (50, 10, 3), (50, 20, 5))
    make(marker, 2, (50, 10, 3), (500, 16, 5))
    make(marker, 3, (50, 10, 3), (50, 10.5, 3))
    make(marker, 4, (50, 10, 3), (50, 2, 1))
    first, second = regressions(marker)
    assert (first.queryid, second.queryid) == (2, 1)
    assert (second.text, second.before.count, second.after.count) == ("SELECT 1", 100, 100)
    assert second.factor == pytest.approx(2)
    assert second.added_ms == pytest.approx(1000)
    assert first.added_ms == pytest.approx(6000)
    assert second.before.stddev_ms == pytest.approx(3 * (100 / 99) ** 0.5)
    # 10 - t(0.99; 163) · sqrt(3.015² / 100 + 5.025² / 100)
    assert second.least_ms == pytest.approx(8.623, abs=0.002)


def test_too_few_calls_say_nothing(marker):
    make(marker, 1, (14, 10, 1), (50, 90, 1))
    make(marker, 2, (50, 10, 1), (14, 90, 1))
    assert found(marker) == []
    assert found(marker, least_calls=28) == [1, 2]


def test_chance_is_sorted_out(marker):
    """Twice as slow, but so varied that it may be nothing."""
    make(marker, 1, (20, 10, 30), (20, 20, 60))
    assert found(marker) == []


def test_a_factor_is_asked_for(marker):
    make(marker, 1, (500, 10, 0.1), (500, 14, 0.1))
    assert found(marker) == []
    assert found(marker, factor=1.3) == [1]


def test_a_growth_that_adds_nothing_to_the_whole_is_left_out(marker):
    make(marker, 1, (50, 100, 1), (50, 100, 1))
    make(marker, 2, (50, 0.01, 0.001), (50, 0.1, 0.001))  # 9 ms of 10 s
    make(marker, 3, (50, 0.01, 0.001), (50, 0.12, 0.001))  # 11 ms
    [grown] = regressions(marker)
    assert (grown.queryid, grown.factor) == (3, pytest.approx(12))
    assert grown.added_share == pytest.approx(11 / 10_022)


def test_new_statements_count_by_their_share(marker):
    make(marker, 1, (50, 10, 1), (50, 10, 1))
    make(marker, 2, None, (10, 6, 1), seen=marker.released_at + FIVE)
    make(marker, 3, None, (10, 1, 1), seen=marker.released_at + FIVE)
    make(marker, 4, None, (10, 6, 1))  # seldom, but seen before
    [new] = regressions(marker)
    assert (new.queryid, new.is_new, new.factor) == (2, True, None)
    assert new.share == pytest.approx(120 / 1260)
    assert new.added_ms == pytest.approx(120)


def test_the_span_in_which_the_release_lies_is_of_neither_side(marker):
    """It ends with the first sample after the release."""
    edge = marker.released_at - 2 * MINUTE + FIVE
    make(marker, 1, (50, 10, 1), (50, 10, 1))
    make_statement(edge, 1, 1000, 1000, 0)
    assert found(marker) == []
    edges = compare.compared(marker)
    assert (edges.before, edges.after) == (edge - FIVE, edge)


def test_other_releases_bound_what_is_compared(marker):
    make(marker, 1, (50, 10, 1), (50, 90, 1))
    assert found(marker) == [1]
    late = marker.released_at + 2 * FIVE - MINUTE
    ReleaseMarker.objects.create(name="v3", released_at=late)
    assert compare.compared(marker).until == marker.released_at - 2 * MINUTE + 2 * FIVE
    assert [each.after.count for each in regressions(marker, least_calls=1)] == [50]
    ReleaseMarker.objects.create(name="v1", released_at=marker.released_at - FIVE)
    assert found(marker) == []


def test_nothing_can_be_said_without_samples_on_either_side(marker):
    make(marker, 1, None, (50, 90, 1), seen=marker.released_at + FIVE)
    assert found(marker) == [1]
    sql.execute("DELETE FROM samples WHERE sampled_at < %s", [marker.released_at])
    assert found(marker) == []


def test_a_real_statement_that_became_slower():
    statement, steady = (
        Statement("pg_sleep(0.002)"),
        Statement("count(*)", " FROM generate_series(1, 9)"),
    )
    statement.run()
    steady.run()
    take()
    statement.run(times=40)
    steady.run(times=40)
    take()
    marker = ReleaseMarker.objects.create(name="real", released_at=now())
    take()
    statement.run(times=40, head="pg_sleep(0.03)")
    steady.run(times=40)
    take()
    results = {each.queryid: each for each in regressions(marker)}
    slower = results[statement.queryid]
    assert (slower.before.count, slower.after.count, slower.is_new) == (40, 40, False)
    assert slower.factor > 3
    assert slower.least_ms > 10
    assert slower.added_ms > 600
    assert steady.queryid not in results


@pytest.mark.parametrize(
    ("confidence", "freedom", "table"),
    [(0.99, 10, 2.7638), (0.99, 30, 2.4573), (0.99, 120, 2.3578), (0.975, 20, 2.0860)],
)
def test_quantiles_are_those_of_the_tables(confidence, freedom, table):
    assert student(confidence, freedom) == pytest.approx(table, abs=0.002)


def test_bound_needs_two_calls_and_bears_none_that_vary():
    assert least_growth(Calls(1, 10, 100), Calls(9, 90, 900)) == 0
    assert least_growth(Calls(9, 90, 900), Calls(9, 180, 3600)) == 10
    assert least_growth(Calls(0, 0, 0), Calls(9, 180, 3600)) == 0


# release_marker


def run(*args, capsys):
    call_command("release_marker", *args)
    return capsys.readouterr().out


def test_command_marks_now(capsys):
    before = now()
    out = run("v7", capsys=capsys)
    marker = ReleaseMarker.objects.get()
    assert before <= marker.released_at <= now()
    assert out.startswith("v7 is marked: 20")
    assert out.rstrip().endswith(f"{marker.made_by}@{marker.host}")
    assert marker.host


def test_command_marks_a_time_of_kathmandu(capsys):
    out = run("v7", "--at", "2026-11-01 10:00", capsys=capsys)
    assert ReleaseMarker.objects.get().released_at.isoformat() == "2026-11-01T04:15:00+00:00"
    assert "2026-11-01 10:00:00+05:45" in out


def test_command_tries_without_storing(capsys):
    assert "v7 would be marked:" in run("v7", "--dry-run", capsys=capsys)
    assert not ReleaseMarker.objects.exists()


def test_command_may_be_repeated_but_not_move_a_release(capsys):
    run("v7", "--at", "2026-11-01T10:00+05:45", capsys=capsys)
    assert "v7 is marked already: 2026-11-01 10:00" in run("v7", capsys=capsys)
    assert "already" in run("v7", "--at", "2026-11-01T10:00+05:45", capsys=capsys)
    with pytest.raises(CommandError, match="v7 is marked at 2026-11-01T04:15:00"):
        call_command("release_marker", "v7", "--at", "2026-11-02T10:00+05:45")
    assert ReleaseMarker.objects.count() == 1


@pytest.mark.parametrize("name", ["", " ", "x" * 81])
def test_command_refuses_a_bad_name(name):
    with pytest.raises(CommandError, match="up to 80 characters"):
        call_command("release_marker", name)


def test_command_refuses_the_future_and_what_is_no_time():
    with pytest.raises(CommandError, match="not before"):
        call_command("release_marker", "v7", "--at", (now() + timedelta(days=1)).isoformat())
    with pytest.raises(CommandError, match="--at"):
        call_command("release_marker", "v7", "--at", "tomorrow")


def test_admin_shows_releases_and_changes_none(client):
    ReleaseMarker.objects.create(name="v7", released_at=now(), host="web-1", made_by="deploy")
    client.force_login(make_user(Role.ADMIN, is_superuser=True))
    page = client.get("/admin/monitoring/releasemarker/")
    assert page.status_code == 200
    assert "v7" in page.content.decode()
    assert "web-1" in page.content.decode()
    assert client.get("/admin/monitoring/releasemarker/add/").status_code == 403

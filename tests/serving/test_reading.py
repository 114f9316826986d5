"""Which server a read goes to, and what is known of a user's last write."""

import pytest
from django.db import connections, transaction

from credit.models import Retailer
from khaacho import breaker, caches, positions, reading
from tests.factories import make_retailer
from tests.processes import redis_server

pytestmark = pytest.mark.django_db(transaction=True)

router = reading.Router()


def test_reads_are_of_the_primary_until_told_otherwise():
    assert reading.alias() == "default"
    assert router.db_for_read(Retailer) is None
    with reading.from_replica():
        assert reading.alias() == "replica"
        assert router.db_for_read(Retailer) == "replica"
    assert reading.alias() == "default"


def test_a_transaction_of_the_primary_keeps_its_reads():
    with reading.from_replica(), transaction.atomic():
        assert reading.alias() == "default"
        assert router.db_for_read(Retailer) is None
        assert reading.is_pinned()
    assert not reading.is_pinned()


def test_what_is_pinned_is_not_asked_of_the_replica():
    with reading.from_replica(), reading.pinned():
        assert reading.is_pinned()
        assert reading.alias() == "default"
        assert router.db_for_read(Retailer) is None
    assert not reading.is_pinned()


def test_a_page_to_be_kept_is_computed_on_the_primary():
    """Also within a list that is read from the replica, such as the counts of the admin's side bar."""
    seen = []

    def compute() -> None:
        seen.append(reading.alias())

    with reading.from_replica():
        caches.Visit(caches.Slot("page", ("group",), 60)).page_or(compute)
    assert seen == ["default"]


def test_writes_never_go_to_the_replica():
    row = make_retailer()
    assert router.db_for_write(Retailer, instance=row) is None
    row._state.db = "replica"
    with reading.from_replica():
        assert router.db_for_write(Retailer, instance=row) == "default"
        assert router.db_for_write(Retailer) is None
    assert router.allow_relation(row, make_retailer()) is True
    assert router.allow_migrate("replica", "credit") is False
    assert router.allow_migrate("direct", "credit") is False
    assert router.allow_migrate("default", "credit") is None


def test_nothing_is_known_of_a_user_at_first():
    assert positions.of(7) is None


def test_a_position_is_remembered_and_the_larger_one_stays():
    positions.remember(7)
    first = positions.of(7)
    assert first is not None
    assert 0 < first <= positions.current()
    make_retailer()  # writes log
    positions.remember(7)
    second = positions.of(7)
    assert second is not None
    assert second > first
    lower = positions.cache_wire
    lower.ask(positions.KEEP, ["positions", "position:7"], [lower.nonce(), first, 60])
    assert positions.of(7) == second
    assert positions.of(8) is None


def test_a_commit_is_below_the_position_that_is_read_after_it():
    with connections["default"].cursor() as cursor:
        for synchronous in ("on", "off"):
            cursor.execute(f"SET synchronous_commit = {synchronous}")
            make_retailer()
            cursor.execute("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")
            assert positions.current() >= cursor.fetchone()[0]
        cursor.execute("RESET synchronous_commit")


def test_a_position_that_redis_did_not_take_voids_all(settings):
    """Redis hangs while a user writes, and comes back with all it knew: their old position is a lie."""
    with redis_server() as server:
        settings.CACHE_URL = server.url
        positions.remember(7)
        positions.remember(8)
        assert positions.of(7) is not None
        server.freeze()
        positions.remember(7)
        assert positions.of(7) is None
        server.thaw()
        breaker.close_all()
        assert positions.of(7) is None
        assert positions.of(8) is None
        positions.remember(8)
        assert positions.of(8) is not None
        assert positions.of(7) is None


def test_a_redis_that_lost_everything_knows_nobody(settings):
    with redis_server() as server:
        settings.CACHE_URL = server.url
        positions.remember(7)
        assert positions.of(7) is not None
        server.stop()
        assert positions.of(7) is None
        server.start()
        breaker.close_all()
        assert positions.of(7) is None


def test_positions_are_forgotten_after_an_hour(settings):
    with redis_server() as server:
        settings.CACHE_URL = server.url
        positions.remember(7)
        with server.client as client:
            key = next(iter(client.scan_iter("*position:7")))
            assert 3590 < client.ttl(key) <= 3600
            client.delete(key)

"""Each process says how its pool is doing; readers see those that live."""

import json
import time

import pytest
import redis as redis_py
from django.conf import settings
from django.db import connections

from monitoring.sources import pool
from tests.processes import free_port, process, redis_server, wait_for

STATS = {"pool_min": 1, "pool_max": 4, "pool_size": 4, "pool_available": 0, "requests_waiting": 2}


@pytest.fixture
def client():
    with redis_py.Redis.from_url(settings.REDIS_URL) as client:
        yield client


def say(client, name, stats, seconds=60):
    client.set(f"{pool.PREFIX}{name}", json.dumps(stats), ex=seconds)
    client.zadd(pool.NAMES, {name: time.time() + seconds})


def test_counters_that_are_not_told_are_zero(client):
    say(client, "web1:7", STATS)
    (found,) = pool.processes()
    assert (found.name, found.min, found.max, found.size, found.available) == ("web1:7", 1, 4, 4, 0)
    assert (found.waiting, found.requests, found.requests_waited, found.errors) == (2, 0, 0, 0)
    assert found.is_exhausted
    assert 0 <= found.seen_seconds < 10


def test_sums_over_processes(client):
    say(client, "b:1", STATS | {"requests_num": 10, "requests_queued": 3, "requests_wait_ms": 40})
    say(client, "a:2", {"pool_size": 2, "pool_max": 4, "pool_available": 2, "requests_errors": 1})
    found = pool.processes()
    assert [process.name for process in found] == ["a:2", "b:1"]
    assert [process.is_exhausted for process in found] == [False, True]
    assert pool.totals(found) == pool.PoolTotals(
        processes=2, size=6, max=8, available=2, waiting=2, requests=10, requests_waited=3,
        wait_ms=40, errors=1,
    )  # fmt: skip


def test_a_process_that_is_gone_is_not_listed(client):
    say(client, "gone:1", STATS)
    client.delete(f"{pool.PREFIX}gone:1")
    assert pool.processes() == []
    assert pool.totals([]).processes == 0


def test_a_process_without_a_pool_makes_none_and_says_nothing(client):
    assert pool.own() is None
    assert pool.report() is False
    pool.leave()
    assert client.keys("khaacho:pool*") == []
    assert "default" not in connections["default"]._connection_pools


def test_redis_that_is_down_is_said(settings):
    settings.REDIS_URL = f"redis://127.0.0.1:{free_port()}/0"
    with pytest.raises(pool.RedisDown):
        pool.processes()


POOLED = """
import os, sys, time, django
django.setup()
from khaacho import sql
from monitoring.sources import pool
sql.fetch("SELECT 1")
from django.db import close_old_connections, connection
connection.close()
pool.report()
print("said", flush=True)
time.sleep(float(os.environ["SLEEP"]))
"""
POOL = {"DJANGO_SETTINGS_MODULE": "khaacho.settings", "DB_POOL_MAX": "6", "DB_POOL_MIN": "2"}


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_processes_with_pools_are_listed_until_they_leave(tmp_path):
    log = tmp_path / "log"
    env = POOL | {"WEB_CONCURRENCY": "2", "SLEEP": "600"}
    with process("-c", POOLED, log=log, **env), process("-c", POOLED, log=log, **env):
        wait_for(lambda: len(pool.processes()) == 2, seconds=60, what=log.read_text())
        for found in pool.processes():
            assert (found.min, found.max, found.requests >= 1) == (1, 3, True)
            assert found.waiting == 0
    with process("-c", POOLED, log=log, **env | {"SLEEP": "0"}) as leaving:
        assert leaving.wait(60) == 0, log.read_text()
    assert len(pool.processes()) == 2  # the killed ones: they expire; the one that ended has left


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_a_frozen_redis_costs_a_query_nothing(tmp_path):
    with redis_server() as server:
        server.freeze()
        log = tmp_path / "log"
        env = POOL | {"SLEEP": "0", "REDIS_URL": server.url, "CACHE_URL": server.url}
        with process("-c", POOLED, log=log, **env) as asking:
            assert asking.wait(60) == 0, log.read_text()
        server.thaw()
        assert "said" in log.read_text()
        assert "Traceback" not in log.read_text()

"""The connection pools of all processes: each says in Redis how its own is doing, readers add them up.

A pool counts for its own process, so each process with one sets `khaacho:pool:<host>:<pid>`, which
expires, from the thread that publishes (monitoring/sources/publishing.py). A counter that is still zero
is not among what the pool says; `usage_ms` never is under Django, which gives connections back by itself.
"""

import json
import logging
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import redis
from django.conf import settings
from django.db import connections

log = logging.getLogger(__name__)

BEAT_SECONDS = 12.0
LIFE_SECONDS = 60
PREFIX = "khaacho:pool:"
NAMES = "khaacho:pools"  # a sorted set of the names by the moment they expire, by Redis's clock
MOST = 1_000  # processes that are read


@dataclass(frozen=True, kw_only=True)
class PoolProcess:
    """One process's pool. `size` connections, `available` of them free; `waiting` callers without one.

    `requests` and `requests_waited` count callers since the process began, `wait_ms` is how long those
    waited together, `errors` counts callers who got none in time. `seen_seconds` ago it said so.
    """

    name: str
    size: int
    min: int
    max: int
    available: int
    waiting: int
    requests: int
    requests_waited: int
    wait_ms: int
    errors: int
    seen_seconds: float

    @property
    def is_exhausted(self) -> bool:
        """Whether somebody waits, or the next caller will."""
        return self.waiting > 0 or (self.available == 0 and self.size >= self.max)


@dataclass(frozen=True, kw_only=True)
class PoolTotals:
    """All pools together; the counters are of the processes that live."""

    processes: int
    size: int
    max: int
    available: int
    waiting: int
    requests: int
    requests_waited: int
    wait_ms: int
    errors: int


class RedisDown(Exception):
    """Redis does not answer: nobody knows how the pools are."""


# KEYS: the process's key, the set of names. ARGV: what it says, its life in seconds, its name.
REPORT = """
local now = tonumber(redis.call('TIME')[1])
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
redis.call('ZADD', KEYS[2], now + ARGV[2], ARGV[3])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', '(' .. now)
redis.call('EXPIRE', KEYS[2], ARGV[2])
return 1
"""


def name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def own() -> Mapping[str, int] | None:
    """Return what this process's pool says; None without a pool, which is not made for that."""
    pools: Mapping[str, Any] = getattr(connections["default"], "_connection_pools", {})
    pool = pools.get("default")
    return None if pool is None else cast("Mapping[str, int]", pool.get_stats())


def report() -> bool:
    """Say how this process's pool is doing; return whether Redis took it."""
    stats = own()
    if stats is None:
        return False
    client = _client()
    try:
        keys = (f"{PREFIX}{name()}", NAMES)
        client.eval(REPORT, len(keys), *keys, json.dumps(stats), str(LIFE_SECONDS), name())
    except redis.RedisError as error:
        log.debug("pool.unreported", extra={"error": type(error).__name__})
        return False
    finally:
        client.close()
    return True


def leave() -> None:
    """Take this process off the list."""
    if own() is None:
        return
    client = _client()
    try:
        client.delete(f"{PREFIX}{name()}")
        client.zrem(NAMES, name())
    except redis.RedisError:
        log.debug("pool.stayed")
    finally:
        client.close()


def processes() -> list[PoolProcess]:
    """Return the pool of each process that lives, by name. Two commands of Redis. Raises RedisDown."""
    client = _client()
    try:
        names = [each.decode() for each in cast("list[bytes]", client.zrange(NAMES, 0, MOST - 1))]
        if not names:
            return []
        with client.pipeline(transaction=False) as asked:
            for each in names:
                asked.get(f"{PREFIX}{each}")
                asked.pttl(f"{PREFIX}{each}")
            replies = asked.execute()
    except redis.RedisError as error:
        raise RedisDown from error
    finally:
        client.close()
    said = zip(names, replies[::2], replies[1::2], strict=True)
    found = [_process(each, json.loads(text), left) for each, text, left in said if text]
    return sorted(found, key=lambda process: process.name)


def totals(found: Sequence[PoolProcess]) -> PoolTotals:
    """Return the sums over processes."""
    names = [field for field in PoolTotals.__dataclass_fields__ if field != "processes"]
    rows = [asdict(process) for process in found]
    return PoolTotals(
        processes=len(rows), **{field: sum(row[field] for row in rows) for field in names}
    )


def _process(name: str, stats: Mapping[str, int], left_ms: int) -> PoolProcess:
    def of(key: str) -> int:
        return int(stats.get(key, 0))

    return PoolProcess(
        name=name,
        size=of("pool_size"),
        min=of("pool_min"),
        max=of("pool_max"),
        available=of("pool_available"),
        waiting=of("requests_waiting"),
        requests=of("requests_num"),
        requests_waited=of("requests_queued"),
        wait_ms=of("requests_wait_ms"),
        errors=of("requests_errors"),
        seen_seconds=round(max(0.0, LIFE_SECONDS - left_ms / 1000), 1),
    )


def _client() -> redis.Redis:
    return redis.Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=settings.REDIS_TIMEOUT,
        socket_connect_timeout=settings.REDIS_TIMEOUT,
        retry=None,
        single_connection_client=False,
    )

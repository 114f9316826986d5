"""The connection pools of all processes: each says how its own is doing, this adds them up."""

from collections.abc import Mapping
from typing import Any

import redis
from django.utils.translation import gettext_lazy as _

from monitoring.database import access
from monitoring.pages.framework import MonitoringPage, Panel, Window, timeout_ms
from monitoring.sources import pool
from monitoring.sources.pool import PoolProcess

BUSY = 80  # per cent of the places in use
PLACES = """
SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true)::int, 0)
"""


def _pools() -> list[PoolProcess]:
    """Return the pools that live. Raises redis.ConnectionError, of which a panel knows what mends it."""
    try:
        return pool.processes()
    except pool.RedisDown as error:
        raise redis.ConnectionError(str(error.__cause__ or error)) from error


def _together(window: Window) -> Mapping[str, Any]:
    found = _pools()
    sums = pool.totals(found)
    in_use = sums.size - sums.available
    share = 100 * in_use / sums.max if sums.max else None
    return {
        "sums": sums,
        "in_use": in_use,
        "share": share,
        "tone": _tone(share, sums.waiting),
        "waited_share": 100 * sums.requests_waited / sums.requests if sums.requests else None,
        "mean_wait_ms": sums.wait_ms / sums.requests_waited if sums.requests_waited else None,
        "exhausted": sum(each.is_exhausted for each in found),
    }


def _tone(share: float | None, waiting: int) -> str:
    if waiting:
        return "bad"
    if share is None:
        return "quiet"
    return "warn" if share >= BUSY else "good"


def _processes(window: Window) -> Mapping[str, Any]:
    return {
        "processes": [
            {
                "pool": each,
                "in_use": each.size - each.available,
                "mean_wait_ms": each.wait_ms / each.requests_waited
                if each.requests_waited
                else None,
            }
            for each in _pools()
        ]
    }


def _room(window: Window) -> Mapping[str, Any]:
    """Say whether all pools together fit into the server."""
    [(places,)] = access.fetch(PLACES, timeout_ms=timeout_ms())
    most = pool.totals(_pools()).max
    return {"places": places, "most": most, "fits": most <= places}


PAGE = MonitoringPage(
    name="pool",
    title=_("Pool"),
    ranged=False,
    panels=(
        Panel(
            name="together",
            title=_("All pools together"),
            read=_together,
            template="monitoring/pages/pool_together.html",
            help=_(
                "Each web process has a pool of its own. Workers and commands use plain connections."
            ),
            of_monitor=False,
        ),
        Panel(
            name="processes",
            title=_("By process"),
            read=_processes,
            template="monitoring/pages/pool_processes.html",
            help=_(
                "Each process says so every few seconds; one that is silent for a minute is left out."
            ),
            of_monitor=False,
        ),
        Panel(
            name="room",
            title=_("Room in the server"),
            read=_room,
            template="monitoring/pages/pool_room.html",
        ),
    ),
)

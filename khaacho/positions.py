"""How far in the primary's log (WAL) a user's last write stands, so that they read it again whatever lags.

Kept in Redis, which may lose anything at any time: a user of whom nothing is known reads from the primary.
A position that Redis did not take makes this process declare all of them void, before it believes one again.
A position is a number of bytes of log.
"""

import threading

from django.db import Error, connection

from khaacho import cache_wire
from khaacho.cache_wire import Script, Unavailable

KEPT_SECONDS = 60 * 60
EPOCH = "positions"
CURRENT = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"

_EPOCH = """
local epoch = redis.call('GET', KEYS[1])
if not epoch then
  epoch = ARGV[1]
  redis.call('SET', KEYS[1], epoch)
end
local kept = redis.call('GET', KEYS[2])
local place = kept and string.match(kept, '^(%d+) ')
if place and string.sub(kept, #place + 2) ~= epoch then place = nil end
"""
# KEYS: the epoch, the user's. ARGV: a new epoch.
FIND = Script(_EPOCH + "return place or ''")
# ARGV: a new epoch, the position, seconds to keep it. The larger of two stays.
KEEP = Script(
    _EPOCH
    + """
local now = ARGV[2]
if place and tonumber(place) > tonumber(now) then now = place end
redis.call('SET', KEYS[2], now .. ' ' .. epoch, 'EX', ARGV[3])
return 1
"""
)
# KEYS: the epoch. ARGV: a new one.
BEGIN_ANEW = Script("redis.call('SET', KEYS[1], ARGV[1]) return 1")


class _Debt:
    """Whether Redis holds positions that this process knows to be too low."""

    def __init__(self) -> None:
        self.is_owed = False
        self.lock = threading.Lock()


_debt = _Debt()


def current() -> int:
    """Return how far the primary has written, or is about to. One statement."""
    with connection.cursor() as cursor:
        cursor.execute(CURRENT)
        return int(cursor.fetchone()[0])


def remember(user_id: int) -> None:
    """Note that all that is committed until now is to be seen by this user. One statement, one script.

    Never fails: what could not be noted makes everybody read from the primary.
    """
    try:
        _settle()
        cache_wire.ask(KEEP, [EPOCH, _key(user_id)], [cache_wire.nonce(), current(), KEPT_SECONDS])
    except (Unavailable, Error):
        _debt.is_owed = True


def of(user_id: int) -> int | None:
    """Return the position that this user must see; None when nobody knows. One script."""
    try:
        _settle()
        found = cache_wire.ask(FIND, [EPOCH, _key(user_id)], [cache_wire.nonce()])
    except Unavailable:
        return None
    return int(found) if isinstance(found, bytes) and found.isdigit() else None


def _settle() -> None:
    """Void what Redis holds, if we owe that. Raises Unavailable."""
    if _debt.is_owed:
        with _debt.lock:
            if _debt.is_owed:
                cache_wire.ask(BEGIN_ANEW, [EPOCH], [cache_wire.nonce()])
                _debt.is_owed = False


def _key(user_id: int) -> str:
    return f"position:{user_id}"

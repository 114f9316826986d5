"""Answers kept ready in Redis, and forgotten by the verbs that change them (docs/caches.md).

A page is what a view answers, as bytes. It belongs to groups, such as `catalogue` or `credit:7`. Each group
has a token in Redis; a page is good while the tokens it was made under stand. A verb that changes
what is shown calls `forget(group)`: once its transaction has committed, the token goes, and with it
every page of the group. Tokens are read before the page is computed and compared again as it is
stored, in one Lua script, so that what was read before a commit is never kept after it.

At most one caller computes a page; the others wait for it, briefly. A page that is about to expire is
computed early, by chance, by one caller while the others still get it: XFetch, from Vattani, Chierichetti
and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", PVLDB 8(8), 2015.
"""

import hashlib
import logging
import math
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from khaacho import cache_wire, jobs, reading
from khaacho.cache_wire import Script, Unavailable

log = logging.getLogger(__name__)

ALL = "all"  # every page is of this group
TOKEN_SECONDS = 2 * 60 * 60  # longer than any page lives
SOON_SECONDS = 15  # how old a figure may be whose every change would empty the cache
LEASE_SECONDS = 1.0  # a caller that computes longer, or died, is no longer waited for
WAIT_SECONDS = 2.5  # then a caller computes for itself
LONGEST_PAUSE = 0.05
MAX_BYTES = 64 * 1024  # of one page; a larger one is not kept
MAX_PAGES = 2000  # the oldest go first
EAGERNESS = 1.0  # XFetch's beta
FORGET_ALL = "caches.forget_all"
RETRY = timedelta(seconds=10)


@dataclass(frozen=True)
class Page:
    """A body with its strong ETag and the headers that go with it, `Name: value` lines."""

    body: bytes
    etag: str
    headers: str = ""


# KEYS: page, lock, groups' tokens. ARGV: nonce, lease and token's life in ms, the ETag the client has.
# Makes tokens that are missing; answers the page, or whether to compute it or to wait.
FIND = Script("""
local version = ''
for i = 3, #KEYS do
  local token = redis.call('GET', KEYS[i])
  if not token then
    token = ARGV[1]
    redis.call('SET', KEYS[i], token, 'PX', ARGV[3])
  end
  version = version .. token .. ','
end
local page = redis.call('HMGET', KEYS[1], 'version', 'cost', 'etag', 'headers')
if page[1] == version then
  local body = ''
  if page[3] ~= ARGV[4] then body = redis.call('HGET', KEYS[1], 'body') end
  return {'page', version, page[2], redis.call('PTTL', KEYS[1]), page[3], page[4], body}
end
local holder = redis.call('GET', KEYS[2])
if holder and string.sub(holder, 1, #version) == version then
  if string.sub(holder, #version + 1) == '-' then return {'alone', version} end
  return {'wait', version}
end
redis.call('SET', KEYS[2], version .. ARGV[1], 'PX', ARGV[2])
return {'mine', version}
""")
# KEYS: lock. ARGV: version and nonce, lease in ms. Takes the lock if it is free.
LOCK = Script("""
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return 0
""")
# KEYS: page, lock, index, groups' tokens.
# ARGV: version, nonce, life in ms, cost in ms, etag, headers, body, most pages.
# Keeps the page if its groups' tokens are those it was made under; the lock goes in any case.
KEEP = Script("""
if redis.call('GET', KEYS[2]) == ARGV[1] .. ARGV[2] then redis.call('DEL', KEYS[2]) end
local version = ''
for i = 4, #KEYS do version = version .. (redis.call('GET', KEYS[i]) or '') .. ',' end
if version ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'version', version, 'cost', ARGV[4], 'etag', ARGV[5],
  'headers', ARGV[6], 'body', ARGV[7])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local now = redis.call('TIME')
local ms = now[1] * 1000 + math.floor(now[2] / 1000)
redis.call('ZADD', KEYS[3], ms + ARGV[3], KEYS[1])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', ms)
local over = redis.call('ZCARD', KEYS[3]) - ARGV[8]
if over > 0 then
  local oldest = redis.call('ZPOPMIN', KEYS[3], over)
  for i = 1, #oldest, 2 do redis.call('UNLINK', oldest[i]) end
end
return 1
""")
# KEYS: lock. ARGV: version, nonce, lease in ms. Nothing is to be kept: those who wait compute at once.
GIVE_UP = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] .. ARGV[2] then
  redis.call('SET', KEYS[1], ARGV[1] .. '-', 'PX', ARGV[3])
end
return 0
""")
# KEYS: groups' tokens. ARGV: the longest life left, in ms; 0 for none.
FORGET = Script("""
for _, key in ipairs(KEYS) do
  if ARGV[1] == '0' then redis.call('DEL', key)
  elseif redis.call('PTTL', key) > tonumber(ARGV[1]) then redis.call('PEXPIRE', key, ARGV[1]) end
end
return 0
""")


FORMS = {
    (b"page", bytes, bytes, int, bytes, bytes, bytes),
    *((word, bytes) for word in (b"mine", b"wait", b"alone")),
}


def forget(*groups: str) -> None:
    """Have the groups' pages computed anew once the caller's transaction has committed."""
    _on_commit(groups, 0)


def forget_soon(*groups: str) -> None:
    """Likewise within SOON_SECONDS: for figures that every order changes, such as packs left."""
    _on_commit(groups, _ms(SOON_SECONDS))


def _on_commit(groups: Sequence[str], life: int) -> None:
    def let_go() -> None:
        _forget(groups, life)

    transaction.on_commit(let_go, robust=True)


def _forget(groups: Sequence[str], life: int) -> None:
    """Drop the groups' tokens; what Redis does not hear now, a job tells it when it is back."""
    try:
        for start in range(0, len(groups), 50):
            part = groups[start : start + 50]
            cache_wire.ask(FORGET, [_token(group) for group in part], [life])
    except Unavailable:
        _owe()


def _owe() -> None:
    """Remember, in PostgreSQL, that Redis holds pages which are no longer true."""
    with _debts:
        _debt.incurred += 1
    try:
        with transaction.atomic():
            jobs.enqueue(FORGET_ALL, dedupe_key=FORGET_ALL, delay=RETRY)
    except DatabaseError as error:
        log.error("cache.not_forgotten", extra={"error": type(error).__name__})  # noqa: TRY400 - no news in the traceback


@dataclass
class _Debt:
    """How often this process could not tell Redis to forget, and how many of these it has made good."""

    incurred: int = 0
    paid: int = 0


_debt = _Debt()
_debts = threading.Lock()


def _settle() -> None:
    """Forget everything before anything is believed again. Raises Unavailable."""
    incurred = _debt.incurred
    if incurred != _debt.paid:
        forget_everything()
        _debt.paid = incurred  # one incurred meanwhile is still owed


def forget_everything() -> None:
    """Have every page computed anew from now on. Raises Unavailable."""
    cache_wire.ask(FORGET, [_token(ALL)], [0])


def forget_all() -> None:
    """Forget every page: the job after an outage, which comes back until Redis answers."""
    try:
        forget_everything()
    except Unavailable:
        jobs.enqueue(FORGET_ALL, dedupe_key=FORGET_ALL, delay=RETRY)


def _token(group: str) -> str:
    return f"group:{group}"


@dataclass(frozen=True)
class Slot:
    """Where a page is kept: what it shows, to whom (`name`), its groups, and seconds it may live."""

    name: str
    groups: tuple[str, ...]
    seconds: int

    @property
    def digest(self) -> str:
        """Bounded however long the name is, and another one in another release."""
        text = f"{release()}\n{self.name}".encode("utf-8", "replace")
        return hashlib.blake2b(text, digest_size=16).hexdigest()


@cache
def release() -> str:
    """Return a digest of our own code: a page is never read by code that did not make it."""
    digest = hashlib.blake2b(digest_size=16)
    for app in sorted(apps.get_app_configs(), key=lambda app: app.name):
        if Path(app.path).parent == settings.BASE_DIR:
            for source in sorted(Path(app.path).rglob("*.py")):
                digest.update(source.read_bytes())
    return digest.hexdigest()


_flights: dict[str, threading.Event] = {}  # what threads of this process compute, by lock


class Visit:
    """One caller's look at one slot."""

    def __init__(self, slot: Slot, known_etag: str = "") -> None:
        self.slot = slot
        self.known_etag = known_etag
        self.nonce = cache_wire.nonce()
        self.version: Any = b""
        digest = slot.digest
        self.page, self.lock = f"page:{digest}", f"lock:{digest}"
        self.tokens = [_token(group) for group in (ALL, *slot.groups)]

    def page_or(self, compute: Callable[[], Page | None]) -> Page | None:
        """Return the page kept, or the one computed now, which is kept unless it is None.

        Never fails for Redis's sake, and waits for another caller at most WAIT_SECONDS. Inside a
        transaction, which may see what nobody else does, nothing is looked up and nothing kept.
        It is computed on the primary: a replica may lack the very change that ended the page before.
        """
        with reading.pinned():
            return self._page_or(compute)

    def _page_or(self, compute: Callable[[], Page | None]) -> Page | None:
        if connection.in_atomic_block:
            return compute()
        try:
            _settle()
            kept, may_keep = self._look()
            if kept is not None:
                return kept
        except Unavailable:
            may_keep = False
        return self._computed(compute) if may_keep else compute()

    def _look(self) -> tuple[Page | None, bool]:
        """Return the page, or None and whether the one to be computed is ours to keep."""
        until, pause = time.monotonic() + WAIT_SECONDS, 0.002
        while True:
            found = self._ask()
            if found[0] == b"page":
                early = self._is_due(int(found[2]), int(found[3])) and self._take_lock()
                page = Page(found[6], found[4].decode(), found[5].decode())
                return (None, True) if early else (page, False)
            if found[0] == b"mine":
                return None, True
            if found[0] == b"alone" or time.monotonic() > until:
                return None, False
            self._wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _wait(self, pause: float) -> None:
        """Wait for another thread of ours to be done, or for a while if it is another process."""
        flight = _flights.get(self.lock)
        if flight is None:
            time.sleep(pause)
        else:
            flight.wait(LEASE_SECONDS)

    def _ask(self) -> list[Any]:
        reply = cache_wire.ask(
            FIND,
            [self.page, self.lock, *self.tokens],
            [self.nonce, _ms(LEASE_SECONDS), _ms(TOKEN_SECONDS), self.known_etag],
        )
        if not isinstance(reply, list) or _form(reply) not in FORMS:
            raise Unavailable  # whatever answers there, it is not Redis
        self.version = reply[1]
        return reply

    @staticmethod
    def _is_due(cost: int, left: int) -> bool:
        """XFetch: the nearer the end and the dearer the page, the likelier."""
        return left <= cost * EAGERNESS * -math.log(1 - random.random())  # noqa: S311 - no secret

    def _take_lock(self) -> bool:
        holder = self.version + self.nonce.encode()
        return cache_wire.ask(LOCK, [self.lock], [holder, _ms(LEASE_SECONDS)]) == 1

    def _computed(self, compute: Callable[[], Page | None]) -> Page | None:
        begun = time.monotonic()
        page = None
        flight = _flights[self.lock] = threading.Event()
        try:
            page = compute()
        finally:
            if page is None or len(page.body) > MAX_BYTES:
                self._give_up()
            else:
                self._keep(page, time.monotonic() - begun)
            _flights.pop(self.lock, None)
            flight.set()
        return page

    def _keep(self, page: Page, cost: float) -> None:
        life = self.slot.seconds * random.uniform(0.9, 1.0)  # noqa: S311 - not all at once
        keys = [self.page, self.lock, "pages", *self.tokens]
        made = [self.version, self.nonce, _ms(life), _ms(cost) + 1]
        try:
            cache_wire.ask(KEEP, keys, [*made, page.etag, page.headers, page.body, MAX_PAGES])
        except Unavailable:
            return  # the answer is right all the same

    def _give_up(self) -> None:
        try:
            cache_wire.ask(GIVE_UP, [self.lock], [self.version, self.nonce, _ms(LEASE_SECONDS)])
        except Unavailable:
            return  # those who wait stop waiting by themselves


def _form(reply: list[Any]) -> tuple[Any, ...]:
    return (reply[0] if reply else None, *(type(part) for part in reply[1:]))


def _ms(seconds: float) -> int:
    return int(seconds * 1000)

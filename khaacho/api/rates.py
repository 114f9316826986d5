"""How many requests a minute: per user, per address and per class of endpoint, counted exactly.

A counter is a window that begins with its first request and is refused from when it is full; what is
refused is not counted. All counters of a request are looked at and raised by one Lua script, so that
of any number of requests at once exactly as many pass as fit. An address alone is counted where nobody
has signed in, a user and the address behind him otherwise. Where Redis is away, requests pass.

Fixed windows and not GCRA or a sliding log, for both a window and GCRA with a full burst let twice the
limit through in the worst minute, and only a window says "remaining" and "reset" as clients read them
(draft-ietf-httpapi-ratelimit-headers-06). docs/adr/0018 has the figures.
"""

from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from khaacho import cache_wire
from khaacho.actors import Actor
from khaacho.api import problems
from khaacho.api.addresses import client_address
from khaacho.api.authentication import identify
from khaacho.cache_wire import Script, Unavailable
from khaacho.exceptions import KhaachoError
from khaacho.tokens import TokenRefused

Handler = Callable[[HttpRequest], HttpResponseBase]
READING = frozenset({"GET", "HEAD", "OPTIONS"})

# KEYS: counters. ARGV: window in ms, then the limit of each counter.
# Answers the counter that refuses, or the one with the least room:
# {refused, limit, remaining, ms until it begins anew}.
COUNT = Script("""
local counts, refused = {}, 0
for i, key in ipairs(KEYS) do
  counts[i] = tonumber(redis.call('GET', key) or 0)
  if counts[i] >= tonumber(ARGV[i + 1]) then refused = i end
end
local least, room = refused, 0
if refused == 0 then
  for i, key in ipairs(KEYS) do
    local count = redis.call('INCR', key)
    if count == 1 then redis.call('PEXPIRE', key, ARGV[1]) end
    if least == 0 or ARGV[i + 1] - count < room then least, room = i, ARGV[i + 1] - count end
  end
end
return {refused, tonumber(ARGV[least + 1]), room, redis.call('PTTL', KEYS[least])}
""")


class TooManyRequests(KhaachoError):
    """Too many requests; wait and try again."""

    code = "too_many_requests"
    status = 429

    def __init__(self, wait: int) -> None:
        self.retry_after = wait
        super().__init__(retry_after=wait)


@dataclass(frozen=True)
class Standing:
    """How a caller stands in the counter with the least room; `reset` in seconds, rounded up."""

    is_refused: bool
    limit: int
    remaining: int
    reset: int


def limited(get_response: Handler) -> Handler:
    """Count every request to the API, whatever becomes of it, and say so in its answer's headers."""
    if not settings.RATE_LIMITED:
        raise MiddlewareNotUsed

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if not problems.is_api(request):
            return get_response(request)
        standing = count(request)
        if standing is None:
            return get_response(request)
        response = _refusal(request, standing) if standing.is_refused else get_response(request)
        response.headers["RateLimit-Limit"] = str(standing.limit)
        response.headers["RateLimit-Remaining"] = str(standing.remaining)
        response.headers["RateLimit-Reset"] = str(standing.reset)
        return response

    return middleware


def count(request: HttpRequest) -> Standing | None:
    """Count a request; None when nothing limits it, or Redis is away. One round trip."""
    kind = class_of(request.method or "", request.path_info)
    counters = {key: limit for key, limit in _counters(request, kind) if limit}
    if not counters:
        return None
    window = settings.RATE_SECONDS * 1000
    try:
        reply = cache_wire.ask(COUNT, list(counters), [window, *counters.values()])
    except Unavailable:
        return None
    return _standing(reply)


def _standing(reply: cache_wire.Reply) -> Standing | None:
    if not isinstance(reply, list) or len(reply) != 4:
        return None
    refused, limit, remaining, left = (int(n) if isinstance(n, int) else 0 for n in reply)
    return Standing(refused > 0, limit, remaining, max(1, -(-left // 1000)))


def class_of(method: str, path: str) -> str:
    """Return the class of an endpoint: one that settings.RATE_CLASSES names, else read or write."""
    found = settings.RATE_CLASSES.get((method, path))
    if found:
        return str(found)
    for (wanted, pattern), name in settings.RATE_CLASSES.items():
        if pattern[-1] == "*" and wanted == method and path.startswith(pattern[:-1]):
            return str(name)
    return "read" if method in READING else "write"


def _counters(request: HttpRequest, kind: str) -> list[tuple[str, int]]:
    """Return the keys and limits that a request counts in."""
    one, behind_address = settings.RATE_LIMITS[kind]
    address, actor = client_address(request), _actor(request)
    if actor is not None:
        known = [(f"rate:{kind}:user:{actor.user_id}", one)]
        return known + ([(f"rate:{kind}:all:{address}", behind_address)] if address else [])
    return [(f"rate:{kind}:address:{address}", one)] if address else []


def _actor(request: HttpRequest) -> Actor | None:
    """A token that is refused is nobody's: the address is counted."""
    try:
        return identify(request)
    except TokenRefused:
        return None


def _refusal(request: HttpRequest, standing: Standing) -> HttpResponseBase:
    return problems.answer(TooManyRequests(standing.reset), request)

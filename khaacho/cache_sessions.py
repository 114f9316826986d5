"""Sessions of the admin: rows of PostgreSQL, read through Redis.

A copy lives five minutes, as an access token does, so that a sign-out which Redis did not hear of
ends the session all the same. Without Redis each request reads its row.
"""

from contextlib import suppress
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.cached_db import SessionStore as CachedStore
from django.core.cache import BaseCache, caches
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError

COPY_SECONDS = 5 * 60
FAILURES = (RedisError, ConnectionInterrupted, OSError, ValueError)


class Copies:
    """A cache of sessions that never fails and keeps nothing long."""

    def __init__(self, cache: BaseCache) -> None:
        self._cache = cache

    def get(self, key: str) -> Any:
        with suppress(*FAILURES):
            found = self._cache.get(key)
            return found if isinstance(found, dict) else None
        return None

    def set(self, key: str, session: dict[str, Any], seconds: int) -> None:
        with suppress(*FAILURES):
            self._cache.set(key, session, min(seconds, COPY_SECONDS))

    def delete(self, key: str) -> None:
        with suppress(*FAILURES):
            self._cache.delete(key)

    def __contains__(self, key: str) -> bool:
        return False  # ask PostgreSQL


class SessionStore(CachedStore):
    cache_key_prefix = "session:"

    def __init__(self, session_key: str | None = None) -> None:
        super().__init__(session_key)
        self._cache: Any = Copies(caches[settings.SESSION_CACHE_ALIAS])

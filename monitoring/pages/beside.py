"""Pages that answer while the application's pool is exhausted: who asks is then read beside it, too.

Every connection of the pool may be taken by what these pages are to show. The session comes from Redis; the
user, the rights and a session that Redis has not are read on the alias `monitor` as long as the pool has
nothing left, in this process; else, and where that alias may not read them, by the pool as everywhere.
"""

from collections.abc import Callable
from contextvars import ContextVar
from functools import wraps
from typing import Any

from django.db import connection
from django.db.models import Model
from django.http import HttpRequest, HttpResponseBase
from django.template.response import SimpleTemplateResponse

from monitoring.database import access

OF_SIGNING_IN = frozenset(
    {
        "khaacho.user",
        "auth.group",
        "auth.permission",
        "contenttypes.contenttype",
        "sessions.session",
    }
)
View = Callable[..., HttpResponseBase]

_is_beside: ContextVar[bool] = ContextVar("beside_the_pool", default=False)


class BesideThePool:
    """The router: what signing in reads goes by `monitor` while a page is made that must not wait."""

    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        if _is_beside.get() and model._meta.label_lower in OF_SIGNING_IN:
            return access.ALIAS
        return None


def beside_the_pool(view: View) -> View:
    """Let a view, and its template, ask the pool for nothing while that has no connection left."""

    @wraps(view)
    def beside(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        request.asks_no_more = True  # type: ignore[attr-defined] # of khaacho.adminsite.side_bar
        token = _is_beside.set(is_exhausted() and _may_sign_in())
        try:
            response = view(request, *args, **kwargs)
            if isinstance(response, SimpleTemplateResponse):
                response.render()
            return response
        finally:
            _is_beside.reset(token)

    return beside


def is_exhausted() -> bool:
    """Return whether a request that wants a connection of the pool would have to wait for one."""
    if connection.connection is not None or not connection.settings_dict["OPTIONS"].get("pool"):
        return False
    stats = connection.pool.get_stats()  # type: ignore[attr-defined] # of the PostgreSQL backend
    is_full = stats["pool_size"] >= stats["pool_max"]
    return bool(is_full and not stats.get("pool_available", 0))


def _may_sign_in() -> bool:
    """Return whether the alias reads users: it may have a role of its own, without that right."""
    try:
        rows = access.fetch("SELECT has_table_privilege('users', 'SELECT')", timeout_ms=200)
    except access.Unavailable:
        return False
    return bool(rows[0][0])

"""What can be wrong with a panel, in words, with the command that mends it."""

import logging
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.utils.translation import gettext as _
from django_redis.exceptions import ConnectionInterrupted
from psycopg import errors
from psycopg_pool import PoolTimeout
from redis.exceptions import RedisError

from monitoring.database import access

logger = logging.getLogger(__name__)

MIGRATE = "python manage.py migrate monitoring"


@dataclass(frozen=True)
class Trouble:
    """What is not as it should be, and the command or setting that mends it, to paste.

    `is_late`: it would perhaps work with more time. `is_unreachable`: nothing else that reads from
    the database will work either.
    """

    what: str
    fix: str = ""
    detail: str = ""
    is_late: bool = False
    is_unreachable: bool = False


def lacking(timeout_ms: int) -> dict[str, Trouble]:
    """Return what the monitoring lacks on this server, by the id of `monitor.capabilities`. One statement."""
    rows = access.fetch(
        "SELECT id, what, fix FROM monitor.capabilities WHERE NOT ok ORDER BY id",
        timeout_ms=timeout_ms,
    )
    return {id_: Trouble(_("Lacking: %s.") % what, fix) for id_, what, fix in rows}


def trouble_of(error: Exception, panel: str) -> Trouble:
    """Say in words what an error means for a panel; one that only we can mend is logged with its trace."""
    found = _of_redis(error) or _of_database(error)
    if found is None:
        logger.error("monitoring_panel_failed", extra={"panel": panel}, exc_info=error)
        return Trouble(
            _("This panel has a fault. It is in the log as monitoring_panel_failed."),
            detail=type(error).__name__,
        )
    logger.warning(
        "monitoring_panel_unread",
        extra={"panel": panel, "error": type(error).__name__, "sqlstate": _sqlstate(error)},
    )
    return found


def _of_redis(error: Exception) -> Trouble | None:
    if not isinstance(error, RedisError | ConnectionInterrupted):
        return None
    where = urlsplit(settings.REDIS_URL)
    host, port = where.hostname or "127.0.0.1", where.port or 6379
    return Trouble(_("Redis does not answer."), f"redis-cli -h {host} -p {port} ping", _line(error))


def _of_database(error: Exception) -> Trouble | None:
    cause = _cause(error)
    for kinds, make in _KINDS:
        if isinstance(cause, kinds):
            return make(cause)
    if isinstance(error, InterfaceError) or (
        isinstance(cause, psycopg.OperationalError) and cause.sqlstate is None
    ):
        return _unreachable(cause)
    return None


def _cause(error: BaseException) -> BaseException:
    """Return psycopg's own error beneath Django's."""
    if isinstance(error, DatabaseError | InterfaceError) and error.__cause__ is not None:
        return error.__cause__
    return error


def _sqlstate(error: Exception) -> str:
    return getattr(_cause(error), "sqlstate", None) or ""


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:300]


def _user() -> str:
    user = str(settings.DATABASES["monitor"]["USER"] or "CURRENT_USER")
    return user if user.isidentifier() else '"{}"'.format(user.replace('"', '""'))


def _late(error: BaseException) -> Trouble:
    return Trouble(
        _("It took longer than a panel may."),
        "SELECT pid, state, wait_event, query FROM pg_stat_activity WHERE state <> 'idle' ORDER BY xact_start;",
        _line(error),
        is_late=True,
    )


def _locked(error: BaseException) -> Trouble:
    return Trouble(
        _("A table that it reads is locked by somebody else."),
        "SELECT * FROM monitor.blocking_tree;",
        _line(error),
        is_late=True,
    )


def _forbidden(error: BaseException) -> Trouble:
    user = _user()
    return Trouble(
        _("The monitoring's role may not read this."),
        f"GRANT pg_monitor TO {user};\nGRANT USAGE ON SCHEMA monitor TO {user};\n"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA monitor, public TO {user};",
        _line(error),
    )


def _absent(error: BaseException) -> Trouble:
    return Trouble(_("A view of the monitoring is not there."), MIGRATE, _line(error))


def _not_loaded(error: BaseException) -> Trouble:
    return Trouble(
        _("The server was started without what this reads."),
        "ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements';\n-- then restart the server",
        _line(error),
    )


def _full(error: BaseException) -> Trouble:
    return Trouble(
        _("The server takes no further connection."),
        "SELECT usename, application_name, state, count(*) FROM pg_stat_activity GROUP BY 1, 2, 3 ORDER BY 4 DESC;\n"
        "-- as superuser, for whom places are kept; then end what is idle, or raise max_connections",
        _line(error),
        is_unreachable=True,
    )


def _refused(error: BaseException) -> Trouble:
    user = _user()
    return Trouble(
        _("The server does not let the monitoring's role in."),
        f"ALTER ROLE {user} LOGIN PASSWORD '…';  -- the one in the monitor's DATABASE_URL; see pg_hba.conf too",
        _line(error),
        is_unreachable=True,
    )


def _unreachable(error: BaseException) -> Trouble:
    found = settings.DATABASES["monitor"]
    host, port = found["HOST"] or "/var/run/postgresql", found["PORT"] or 5432
    return Trouble(
        _("The database cannot be reached."),
        f"pg_isready -h {host} -p {port} -d {found['NAME']}",
        _line(error),
        is_unreachable=True,
    )


# From the particular to the general. Of errors that name no state the connection itself is at fault.
_KINDS = (
    (errors.QueryCanceled, _late),
    (errors.LockNotAvailable, _locked),
    (errors.InsufficientPrivilege, _forbidden),
    ((errors.UndefinedTable, errors.UndefinedFunction, errors.InvalidSchemaName), _absent),
    (errors.ObjectNotInPrerequisiteState, _not_loaded),
    (errors.TooManyConnections, _full),
    ((errors.InvalidPassword, errors.InvalidAuthorizationSpecification), _refused),
    (
        (
            PoolTimeout,
            errors.ConnectionException,
            errors.AdminShutdown,
            errors.CrashShutdown,
            errors.CannotConnectNow,
        ),
        _unreachable,
    ),
)

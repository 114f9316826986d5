"""What can be wrong with a panel, in words, with the command that mends it."""

import logging
from dataclasses import dataclass
from urllib.parse import urlsplit

from django.conf import settings
from django.db import Error
from django.utils.translation import gettext as _
from django_redis.exceptions import ConnectionInterrupted
from redis.exceptions import RedisError

from monitoring.database import access, capabilities
from monitoring.pages.sharing import once

logger = logging.getLogger(__name__)


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


def lacking() -> dict[str, Trouble]:
    """Return what the monitoring lacks on this server, by the id of `monitor.capabilities`. One statement."""
    return {
        each.id: Trouble(_("Lacking: %s.") % each.what, each.fix)
        for each in once(capabilities.capabilities)
        if not each.ok
    }


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
        extra={"panel": panel, "error": type(error).__name__, "detail": found.detail},
    )
    return found


def _of_redis(error: Exception) -> Trouble | None:
    if not isinstance(error, RedisError | ConnectionInterrupted):
        return None
    where = urlsplit(settings.REDIS_URL)
    host, port = where.hostname or "127.0.0.1", where.port or 6379
    return Trouble(_("Redis does not answer."), f"redis-cli -h {host} -p {port} ping", _line(error))


def _of_database(error: Exception) -> Trouble | None:
    if isinstance(
        error, Error
    ):  # of a panel that reads by another connection than the monitoring's
        error = access.as_unavailable(error)
    if not isinstance(error, access.Unavailable):
        return None
    words: dict[type[access.Unavailable], str] = {
        access.TimedOut: _("It took longer than a panel may."),
        access.Locked: _("What it reads is locked by somebody else."),
        access.NoConnection: _(
            "The database cannot be reached, or does not let the monitoring in."
        ),
        access.ServerFull: _("The server takes no further connection."),
        access.InsufficientPrivilege: _("The monitoring's role may not read this."),
        access.NotMigrated: _("A view of the monitoring is not there."),
        access.NotCounted: _("PostgreSQL does not count statements here."),
    }
    what = words.get(type(error))
    if what is None:
        return None
    return Trouble(
        what,
        _granted() if isinstance(error, access.InsufficientPrivilege) else error.remedy,
        error.detail[:300],
        is_late=isinstance(error, access.TimedOut | access.Locked),
        is_unreachable=isinstance(error, access.NoConnection | access.ServerFull),
    )


def _granted() -> str:
    """Return what gives the monitoring's role its rights, by its name where the settings say it."""
    user = str(settings.DATABASES[access.ALIAS]["USER"]).replace('"', '""')
    role = f'"{user}"' if user else "CURRENT_USER"
    return (
        f"GRANT pg_monitor TO {role};\n"
        f"GRANT USAGE ON SCHEMA public, monitor TO {role};\n"
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public, monitor TO {role};"
    )


def _line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [""])[0][:300]

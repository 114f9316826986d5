"""Log lines as JSON: a constant event name and structured fields, never a phone or a message body.

On whose behalf a line is written is found here, not by who writes it: the request's id, which its jobs
keep, the user, and the ids that the route or the job's arguments name (docs/logs.md).
"""

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from khaacho import origins
from khaacho.redaction import KEPT, redacted, scrub

__all__ = [
    "JSONFormatter",
    "RequestFilter",
    "SubjectFilter",
    "about",
    "asker",
    "ids_of",
    "job_id",
    "request_id",
    "scrub",
    "user_id",
]

# The request that started it all; the jobs that follow from a request log with its id.
request_id: ContextVar[str] = ContextVar("request_id", default="")
job_id: ContextVar[int | None] = ContextVar("job_id", default=None)
# Of a job: who asked for it, or for the job that it follows from. `asker` knows a request's too.
user_id: ContextVar[int | None] = ContextVar("user_id", default=None)
# What a job is about, as `ids_of` finds it.
about: ContextVar[Mapping[str, int]] = ContextVar("about", default=MappingProxyType({}))

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {
    *("message", "asctime", "request_id", "taskName"),
    *("color_message", "data"),  # of others' formatters: celery puts its arguments into `data`
}
_LINE = "_line"  # on the record: its line, for all files
_AUTH = "_khaacho_actor"  # on the request: of khaacho/api/authentication.py


def ids_of(arguments: Mapping[str, Any]) -> dict[str, int]:
    """Return the ids among a job's arguments, or a route's: `order_id`, `message_id` and the like."""
    inner = arguments.get("event")
    named = [*arguments.items(), *(inner.items() if isinstance(inner, dict) else ())]
    return {name: value for name, value in named if name[-3:] == "_id" and type(value) is int}


class RequestFilter(logging.Filter):
    """Put on each line on whose behalf it is written, as far as it does not say so itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        own = vars(record)
        if "request_id" not in own:
            own["request_id"] = request_id.get()
            if (job := job_id.get()) is not None:
                own.setdefault("job_id", job)
            if (user := user_id.get()) is not None and own.get("user_id") is None:
                own["user_id"] = user
            for name, value in about.get().items():
                own.setdefault(name, value)
            if (request := origins.current.get().request) is not None:
                # what a filter raises, the one who logs gets
                with suppress(AttributeError, TypeError, ValueError):
                    self._of_request(own, request)
        return True

    def _of_request(self, own: dict[str, Any], request: Any) -> None:
        if (user := _user_id(request)) is not None and own.get("user_id") is None:
            own["user_id"] = user
        if match := request.resolver_match:
            for name, value in ids_of(match.kwargs).items():
                own.setdefault(name, value)


def asker() -> int | None:
    """Return the id of the user on whose behalf this runs: of the request, or of the job's asker."""
    request = origins.current.get().request
    return user_id.get() if request is None else _user_id(request)


def _user_id(request: Any) -> int | None:
    """Return who asks, as far as it is known already: nothing is looked up for a line."""
    facts = vars(request)
    _, actor = facts.get(_AUTH) or (None, None)
    found = getattr(actor, "user_id", None)
    if found is None and "_cached_user" in facts:  # of Django's session
        found = getattr(facts["_cached_user"], "pk", None)
    return found if isinstance(found, int) else None


class SubjectFilter(logging.Filter):
    """Let lines about one subject pass: of that app, of its kinds of job, or about its `field`.

    Those of the logger `also` pass too.
    """

    def __init__(self, subject: str, field: str = "", also: str = "") -> None:
        super().__init__()
        self.subject, self.start, self.field = subject, f"{subject}.", field
        self.names = (subject, also) if also else (subject,)

    def filter(self, record: logging.LogRecord) -> bool:
        own = vars(record)
        return (
            record.name in self.names
            or record.name.startswith(self.start)
            or (type(record.msg) is str and record.msg.startswith(self.start))
            or self.start in str(own.get("kind", ""))
            or (bool(self.field) and own.get(self.field) is not None)
        )


class JSONFormatter(logging.Formatter):
    """Make one line of a record, without what must not be said (khaacho/redaction.py). Never raises."""

    def format(self, record: logging.LogRecord) -> str:
        own = vars(record)
        line: str | None = own.get(_LINE)
        if line is None:
            try:
                line = self._made(record)
            except Exception as error:  # noqa: BLE001 - logging would show the record as it is
                line = json.dumps({"event": "log.unsayable", "error": type(error).__name__})
            own[_LINE] = line
        return line

    def _made(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "event": _event(record),
            "request_id": getattr(record, "request_id", ""),
            "pid": record.process,
        }
        for name, value in vars(record).items():
            if name not in _STANDARD and name != _LINE and name not in line:
                line[name if name in KEPT else scrub(name)] = redacted(value, name)
        if record.exc_info and record.exc_info[0] is not None:
            line["exception"] = scrub(self.formatException(record.exc_info))
        elif record.exc_text:
            line["exception"] = scrub(record.exc_text)
        if record.stack_info:
            line["stack"] = scrub(record.stack_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def _event(record: logging.LogRecord) -> str:
    """Return the message; one whose arguments do not fit is told without them."""
    if not record.args:
        return scrub(str(record.msg))
    try:
        return scrub(str(record.msg) % _arguments(record.args))
    except (TypeError, ValueError, KeyError):  # a phone asked for as %d
        try:
            return scrub(record.getMessage())
        except Exception:  # noqa: BLE001 - logging itself would show the arguments on standard error
            return scrub(str(record.msg))


def _arguments(given: Any) -> Any:
    """Return arguments of a message, what is nested in them redacted by its names."""
    if isinstance(given, Mapping):
        return redacted(given)
    return tuple(redacted(one) if isinstance(one, dict | list | tuple) else one for one in given)

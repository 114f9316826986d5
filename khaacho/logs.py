"""Log lines as JSON: a constant event name and structured fields, never a phone or a message body."""

import json
import logging
import re
from contextvars import ContextVar
from datetime import UTC, datetime

# The request that started it all; the jobs that follow from a request log with its id.
request_id: ContextVar[str] = ContextVar("request_id", default="")
job_id: ContextVar[int | None] = ContextVar("job_id", default=None)

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "request_id"}

_SECRET = re.compile(r"\+?\d[\d -]{5,}\d|(?=[\w-]*\d)[A-Za-z0-9_-]{32,}")


def scrub(text: str) -> str:
    """Blank out what may be a phone number or a token, in text that others wrote."""
    return _SECRET.sub("…", text)


class RequestFilter(logging.Filter):
    """Put the request's id on each line, and the job's where a job is running."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id.get()
        if (job := job_id.get()) is not None:
            record.job_id = job
        return True


class JSONFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "event": record.getMessage(),
            "request_id": getattr(record, "request_id", ""),
        }
        line.update({k: v for k, v in vars(record).items() if k not in _STANDARD})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)

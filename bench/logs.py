"""`python -m bench.logs`: what a line of a log, an id in SQL and a scrape of /metrics cost.

Against any database that DATABASE_URL names, with its tables; it only reads. Microseconds of CPU of this
process, medians of rounds that take turns. concurrent-log-handler is compared when it is installed.
"""

import logging
import os
import secrets
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import django

ROUNDS, LINES, QUERIES, SCRAPES = 15, 400, 400, 10
FACTS = {"order_id": 123456, "kind": "orders.route", "attempt": 1, "seconds": 0.0131}


def per_call(call: Callable[[], Any], times: int) -> float:
    """Return microseconds of CPU of one of so many calls."""
    begun = time.process_time()
    for _ in range(times):
        call()
    return (time.process_time() - begun) / times * 1e6


def medians(calls: dict[str, Callable[[], Any]], times: int) -> dict[str, float]:
    """Return each call's median over rounds in which all take turns."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            found[name].append(per_call(call, times))
    return {name: statistics.median(each) for name, each in found.items()}


@contextmanager
def handlers(directory: Path) -> Iterator[dict[str, logging.Handler]]:
    """Give a handler of each kind that writes to a file."""
    from khaacho.log_files import SharedFile  # noqa: PLC0415 - after django.setup()

    made: dict[str, logging.Handler] = {
        "logging.FileHandler, which is not safe": logging.FileHandler(directory / "plain.log"),
        "khaacho.log_files.SharedFile": SharedFile(str(directory / "shared.log")),
    }
    if find_spec("concurrent_log_handler"):
        handler = import_module("concurrent_log_handler").ConcurrentRotatingFileHandler
        options = {"maxBytes": 2**27, "backupCount": 30, "use_gzip": True}
        made["concurrent-log-handler"] = handler(str(directory / "theirs.log"), **options)
    try:
        yield made
    finally:
        for each in made.values():
            each.close()


def of_lines() -> dict[str, float]:
    """Compare what writing a line costs, and what making one of a record does."""
    from khaacho.logs import JSONFormatter, RequestFilter  # noqa: PLC0415 - after django.setup()

    def record() -> logging.LogRecord:
        made = logging.makeLogRecord({"msg": "job.done", "name": "khaacho.jobs", **FACTS})
        RequestFilter().filter(made)
        return made

    whole = JSONFormatter().format(record())
    ready = logging.makeLogRecord({"msg": whole})
    with tempfile.TemporaryDirectory() as directory, handlers(Path(directory)) as made:
        calls: dict[str, Callable[[], Any]] = {
            f"write by {name}": lambda each=each: each.handle(ready)  # type: ignore[misc]
            for name, each in made.items()
        }
        calls["make a line, redacted"] = lambda: JSONFormatter().format(record())
        return medians(calls, LINES)


def of_statements() -> dict[str, float]:
    """Compare a statement with and without its request's id in a comment, new for each eight of them."""
    from django.conf import settings  # noqa: PLC0415 - after django.setup()
    from django.db import connection  # noqa: PLC0415 - likewise

    from khaacho import logs  # noqa: PLC0415 - likewise

    plain: Any = connection.copy()
    plain.ensure_connection()
    settings.SQL_REQUEST_IDS = True
    named: Any = connection.copy()
    named.ensure_connection()
    text = "SELECT relname FROM pg_class WHERE oid = %s AND relkind = %s LIMIT 1"

    def ask(own: Any) -> None:
        logs.request_id.set(secrets.token_hex(16))
        for _ in range(8):
            with own.cursor() as cursor:
                cursor.execute(text, [1259, "r"])
                cursor.fetchall()

    calls = {
        "eight statements": lambda: ask(plain),
        "eight statements with an id": lambda: ask(named),
    }
    try:
        return medians(calls, QUERIES // 8)
    finally:
        settings.SQL_REQUEST_IDS = False
        plain.close()
        named.close()


def of_scrapes() -> dict[str, float]:
    """Return what one scrape takes, of what the database holds now."""
    from monitoring import metrics  # noqa: PLC0415 - after django.setup()

    begun = time.perf_counter()
    for _ in range(SCRAPES):
        page = metrics.exposition()
    seconds = (time.perf_counter() - begun) / SCRAPES
    return {f"a scrape of {page.count(chr(10))} lines, by the clock": seconds * 1e6}


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khaacho.settings")
    os.environ.setdefault("SOURCES_SECONDS", "0")
    django.setup()
    for name, cost in (of_lines() | of_statements() | of_scrapes()).items():
        sys.stdout.write(f"{cost:10.1f} us  {name}\n")


if __name__ == "__main__":
    main()

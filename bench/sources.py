"""`python -m bench.sources`: what counting queries and requests costs, beside the same without it.

Against any database that DATABASE_URL names; it only reads. Both ways take turns, CPU of this process is
measured, and the difference of the medians is shown: in microseconds a query and a request.
"""

import os
import secrets
import statistics
import sys
from collections.abc import Callable
from time import process_time
from typing import Any

import django

ROUNDS, QUERIES, REQUESTS = 60, 500, 500
GOAL_QUERY, GOAL_REQUEST = 10.0, 15.0  # microseconds
# About as long as the order list's own statement.
COLUMNS = ", ".join(f'\'{n}\', "pg_class"."relname"' for n in range(20))
TEXT = f'SELECT json_build_object({COLUMNS}) FROM "pg_class" WHERE "pg_class"."oid" = %s LIMIT 1'


def per_call(call: Callable[[], Any], times: int) -> float:
    """Return microseconds of CPU of one of so many calls."""
    begun = process_time()
    for _ in range(times):
        call()
    return (process_time() - begun) / times * 1e6


def compared(
    with_it: Callable[[], Any], without: Callable[[], Any], times: int
) -> tuple[float, float, float]:
    """Return the medians with and without, and of the difference of each round, which took turns."""
    per_call(with_it, times)
    per_call(without, times)
    ours, reference = [], []
    for number in range(ROUNDS):
        if number % 2:
            ours.append(per_call(with_it, times))
            reference.append(per_call(without, times))
        else:
            reference.append(per_call(without, times))
            ours.append(per_call(with_it, times))
    more = [one - other for one, other in zip(ours, reference, strict=True)]
    return statistics.median(ours), statistics.median(reference), statistics.median(more)


def of_queries() -> tuple[float, float, float]:
    """Compare a query on a watched connection with one on the same, unwatched."""
    from django.db import connection  # noqa: PLC0415 - after django.setup()

    from khaacho import origins, sql  # noqa: PLC0415 - likewise
    from monitoring.sources import wrapper  # noqa: PLC0415 - likewise

    connection.ensure_connection()
    origins.current.set(origins.Origin(("route", "orders", "GET")))

    def ask() -> None:
        sql.fetch(f"{TEXT} ", [0])  # a text that is new each time, as the ORM makes it

    def watched() -> None:
        connection.execute_wrappers[:] = [wrapper.watch]
        ask()

    def unwatched() -> None:
        connection.execute_wrappers[:] = []
        ask()

    return compared(watched, unwatched, QUERIES)


def of_counting() -> tuple[float, float, float]:
    """Compare the wrapper around nothing with nothing: no server's noise."""
    from monitoring.sources import wrapper  # noqa: PLC0415 - after django.setup()
    from monitoring.sources.recorder import recorder  # noqa: PLC0415 - likewise

    def execute(*_: Any) -> None:
        return None

    def watched() -> None:
        wrapper.watch(execute, "".join((TEXT, " ")), None, False, {})

    def unwatched() -> None:
        execute("".join((TEXT, " ")), None, False, {})

    recorder.forget()
    found = compared(watched, unwatched, 20 * QUERIES)
    calls = sum(counts.calls for counts in recorder.take().statements.values())
    assert calls == 20 * QUERIES * (ROUNDS + 1), calls
    return found


def of_requests() -> tuple[float, float, float]:
    """Compare a request through the middleware that has an origin with one through it without."""
    from django.http import HttpRequest, HttpResponse  # noqa: PLC0415 - after django.setup()
    from django.urls import ResolverMatch  # noqa: PLC0415 - likewise

    from khaacho import cache_budget, logs, middleware  # noqa: PLC0415 - likewise

    match = ResolverMatch(lambda: None, (), {}, "orders")

    def answer(request: HttpRequest) -> HttpResponse:
        return HttpResponse(b"{}")

    def request() -> HttpRequest:
        made = HttpRequest()
        made.method, made.resolver_match = "GET", match
        return made

    counted = middleware.request_id(answer)

    def uncounted() -> None:
        """Do what the middleware did before there were origins."""
        asked = request()
        given = asked.META.get("HTTP_X_REQUEST_ID", "")
        value = given if middleware._SAFE_ID.fullmatch(given) else secrets.token_hex(16)
        token = logs.request_id.set(value)
        try:
            with cache_budget.of_request():
                response = answer(asked)
        finally:
            logs.request_id.reset(token)
        response["X-Request-ID"] = value

    return compared(lambda: counted(request()), uncounted, 4 * REQUESTS)


def main() -> int:
    """Print the costs as a Markdown table; 1 when a goal is missed."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khaacho.settings")
    os.environ["SOURCES_SECONDS"] = "0"  # counted, not published
    django.setup()
    rows = (
        ("a query, with the server", of_queries(), GOAL_QUERY),
        ("a query, the wrapper alone", of_counting(), GOAL_QUERY),
        ("a request", of_requests(), GOAL_REQUEST),
    )
    print("| CPU of the process, us | counted | not counted | difference | goal |")
    print("|---|---|---|---|---|")
    for name, (ours, reference, more), goal in rows:
        print(f"| {name} | {ours:.1f} | {reference:.1f} | {more:.2f} | < {goal:.0f} |")
    return int(any(more >= goal for _, (_, _, more), goal in rows))


if __name__ == "__main__":
    sys.exit(main())

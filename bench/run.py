"""`make bench`: CPU of the application per request, ours beside plain DRF, alternating in one run.

In-process WSGI calls against a loaded demo trade; statements are counted, and their cost on
PostgreSQL's side is not part of the figure. Wall-clock times are not reported: they are noise here.
"""

import argparse
import io
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import django

RESULTS = Path(__file__).with_name("results.json")
ROUND = 20  # requests of one side before the other has its turn


@dataclass(frozen=True)
class Result:
    """Medians over rounds, in ms of CPU per request; ratio = ours / reference."""

    target: int
    name: str
    unit: str
    reference: float
    ours: float
    ratio: float
    goal: float
    met: bool
    statements: dict[str, int]


class Client:
    """Calls the WSGI application as one retailer, without a network."""

    def __init__(self, token: str) -> None:
        from django.core.wsgi import get_wsgi_application  # noqa: PLC0415 - after django.setup()

        self.application = get_wsgi_application()
        self.token = token
        self.keys = count(time.time_ns())

    def call(self, method: str, path: str, body: bytes = b"") -> bytes:
        """Return the answer's body. Raises RuntimeError unless the status is 2xx."""
        answered: list[str] = []
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": path.partition("?")[0],
            "QUERY_STRING": path.partition("?")[2],
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_HOST": "127.0.0.1",
            "HTTP_AUTHORIZATION": f"Bearer {self.token}",
            "HTTP_IDEMPOTENCY_KEY": str(next(self.keys)),
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.url_scheme": "http",
        }

        def start_response(status: str, headers: object, error: object = None, /) -> Any:
            answered.append(status)

        answer = self.application(environ, start_response)
        text = b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        if not answered[0].startswith("2"):
            raise RuntimeError(f"{method} {path}: {answered[0]} {text[:300]!r}")
        return text


def compare(
    ours: Callable[[], object], reference: Callable[[], object], requests: int
) -> tuple[float, float]:
    """Return the medians over rounds of (ours, reference), in ms of CPU per call."""
    figures: tuple[list[float], list[float]] = ([], [])
    for call in (ours, reference):
        for _ in range(ROUND):
            call()
    for _ in range(max(3, requests // ROUND)):
        for call, sink in zip((ours, reference), figures, strict=True):
            begin = time.process_time()
            for _ in range(ROUND):
                call()
            sink.append((time.process_time() - begin) * 1000 / ROUND)
    return statistics.median(figures[0]), statistics.median(figures[1])


def statements(call: Callable[[], object]) -> int:
    """Count the SQL statements of one call, transaction control included."""
    from django.db import connection  # noqa: PLC0415 - after django.setup()
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415

    with CaptureQueriesContext(connection) as captured:
        call()
    return len(captured)


def measure(
    target: int,
    name: str,
    goal: float,
    pair: tuple[Callable[[], object], Callable[[], object]],
    requests: int,
) -> Result:
    ours, reference = compare(*pair, requests)
    ratio = ours / reference
    counted = {"ours": statements(pair[0]), "reference": statements(pair[1])}
    return Result(
        target,
        name,
        "ms CPU/request",
        round(reference, 3),
        round(ours, 3),
        round(ratio, 3),
        goal,
        ratio <= goal,
        counted,
    )


def world() -> tuple[str, bytes]:
    """Return a token and an order's body of a retailer with much credit, on 3 lines of much stock."""
    from credit.models import Retailer  # noqa: PLC0415 - after django.setup()
    from khaacho import sql, tokens  # noqa: PLC0415

    shop = Retailer.objects.approved().select_related("user").order_by("-credit_limit").first()
    if shop is None:
        raise SystemExit("no trade is loaded: python -m bench.trade load")
    sql.execute("UPDATE retailers SET credit_limit = 900000000 WHERE id = %s", [shop.pk])
    sql.execute("UPDATE credit_accounts SET credit_limit = NULL WHERE retailer_id = %s", [shop.pk])
    row = sql.fetch_one(
        "SELECT vendor_id, array_agg(product_id), array_agg(o.id) FROM (SELECT o.*, p.min_quantity,"
        " row_number() OVER (PARTITION BY vendor_id ORDER BY o.id) AS n FROM vendor_products o"
        " JOIN products p ON p.id = o.product_id WHERE o.is_available AND o.deleted_at IS NULL"
        " AND p.min_quantity = 1) o WHERE n <= 3 GROUP BY 1 HAVING count(*) = 3 ORDER BY 1 LIMIT 1"
    )
    assert row is not None
    vendor_id, products, offers = row
    sql.execute("UPDATE vendor_products SET stock = stock + 1000000 WHERE id = ANY(%s)", [offers])
    body = {
        "vendor_id": vendor_id,
        "payment_terms": "CREDIT",
        "items": [{"product_id": p, "quantity": 1} for p in products],
    }
    return tokens.issue(shop.user).access, json.dumps(body).encode()


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, write bench/results.json; exit 0 whether goals are met or not."""
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument("--requests", type=int, default=400, help="calls of each side")
    parser.add_argument("--output", type=Path, default=RESULTS)
    arguments = parser.parse_args(argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khaacho.settings")
    django.setup()
    from django.conf import settings  # noqa: PLC0415 - after django.setup()

    settings.ROOT_URLCONF = "bench.reference.urls"
    settings.RATE_LIMITED = False  # a bench is one user from one address
    token, body = world()
    client = Client(token)
    results = [
        measure(
            1,
            "order list, 20 rows",
            1 / 7,
            (
                lambda: client.call("GET", "/api/v1/orders/?cursor=&limit=20"),
                lambda: client.call("GET", "/reference/orders/"),
            ),
            arguments.requests,
        ),
        measure(
            2,
            "order of 3 lines",
            0.4,
            (
                lambda: client.call("POST", "/api/v1/orders/", body),
                lambda: client.call("POST", "/reference/orders/", body),
            ),
            arguments.requests,
        ),
    ]
    report(results, arguments.output)
    return 0


def report(results: Sequence[Result], output: Path) -> None:
    for r in results:
        verdict = "met" if r.met else "not yet"
        print(
            f"{r.target}. {r.name}: ours {r.ours} {r.unit}, reference {r.reference},"
            f" ratio {r.ratio} (goal {r.goal:.3f}: {verdict});"
            f" statements {r.statements['ours']} against {r.statements['reference']}"
        )
    document = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "results": [asdict(r) for r in results],
    }
    output.write_text(json.dumps(document, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())

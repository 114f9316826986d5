"""Target 4: ledger and statement of a long account beside a short one, and the ageing of what is owed."""

import statistics
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.utils import timezone

from bench import owing
from bench.harness import plots, worlds
from bench.harness.client import Client, Person, person
from bench.harness.cursors import cursor_at
from bench.harness.figures import Figure, compare, header
from bench.harness.findings import Bench, Findings, Table
from bench.harness.results import Result, Rule
from bench.harness.rounds import Call
from bench.reference.ageing import ageing
from khaacho import sql
from khaacho.actors import Actor
from khaacho.enums import Role
from orders import selectors

PATH = "/api/v1/credit/ledger/"
PAGE = 20
SHORT = 100  # entries of the account to compare with
WITHIN = 1.2
AGEING_SECONDS = 0.5
TARGET = 4


def measure(bench: Bench) -> Findings:
    """Compare pages of the longest account in the big world with pages of one of about a hundred."""
    bench.big.enter()
    long, short = _longest(), _nearest(SHORT)
    bench.say(f"4. ledger of {long.entries:,} entries beside {short.entries:,}")
    pages = _pages(bench, long, short)
    bench.say("4. statement")
    statements = _statements(bench, long, short)
    bench.say("4. ageing")
    return Findings([*pages.results, *statements, _ageing(bench)], pages.tables, pages.plots)


class _Account:
    """A retailer that reads its own ledger."""

    def __init__(self, retailer_id: int, user_id: int, entries: int) -> None:
        self.retailer_id, self.entries = retailer_id, entries
        actor = Actor(user_id=user_id, role=Role.RETAILER, retailer_id=retailer_id)
        self.person: Person = person(actor)

    def page(self, share: float) -> str:
        """Return the address of the page at this share of the ledger's depth."""
        skipped = min(int(self.entries * share), max(self.entries - PAGE, 0)) - 1
        if skipped < 0:
            return f"{PATH}?cursor=&limit={PAGE}"
        row = sql.fetch_one(
            "SELECT created_at, id FROM credit_ledgers WHERE retailer_id = %s"
            " ORDER BY created_at DESC, id DESC OFFSET %s LIMIT 1",
            [self.retailer_id, skipped],
        )
        assert row
        return f"{PATH}?cursor={cursor_at(PATH, ('-created_at', '-id'), row)}&limit={PAGE}"


def _longest() -> _Account:
    return _account("ORDER BY entries DESC, retailer_id LIMIT 1", [])


def _nearest(entries: int) -> _Account:
    return _account("ORDER BY abs(entries - %s), retailer_id LIMIT 1", [entries])


def _account(which: str, params: list[Any]) -> _Account:
    row = sql.fetch_one(
        "SELECT l.retailer_id, r.user_id, l.entries FROM (SELECT retailer_id, count(*) AS entries"
        " FROM credit_ledgers GROUP BY 1) l JOIN retailers r ON r.id = l.retailer_id"
        " JOIN users u ON u.id = r.user_id AND u.is_active"
        f" WHERE r.deleted_at IS NULL {which}",
        params,
    )
    if row is None:
        raise SystemExit("this database has no ledger entry: load a trade first")
    return _Account(*row)


PLACES = {"first": 0.0, "middle": 0.5, "last": 1.0}


def _pages(bench: Bench, long: _Account, short: _Account) -> Findings:
    results, rows, groups = [], [], {}
    for place, share in PLACES.items():
        found = compare(
            {a: Client([a.person]).getting(a.page(share)) for a in (long, short)}, bench.requests
        )
        rows.append([place, *found[long].cells(), *found[short].cells()])
        groups[place] = {f"{a.entries:,} entries": found[a].ms for a in (long, short)}
        results.append(_result(f"ledger, {place} page", long, short, found))
    columns = ["page", *header(f"{long.entries:,} entries"), *header(f"{short.entries:,} entries")]
    return Findings(
        results,
        [Table("A ledger's pages", columns, rows)],
        {"ledger-pages": plots.bars("Ledger: cost by page", "ms/request", groups)},
    )


def _statements(bench: Bench, long: _Account, short: _Account) -> list[Result]:
    """Compare statements of days without entries, before and after all: opening balances, no more."""
    results = []
    for name, day in (("tomorrow", 1), ("a day ten years ago", -3650)):
        date = (timezone.localdate() + timedelta(days=day)).isoformat()
        path = f"/api/v1/credit/statement/?from={date}&to={date}"
        found = compare(
            {a: Client([a.person]).getting(path) for a in (long, short)}, bench.requests
        )
        results.append(_result(f"statement of {name}", long, short, found))
    return results


def _result(name: str, long: _Account, short: _Account, found: Mapping[_Account, Figure]) -> Result:
    return Result(
        target=TARGET,
        name=f"{name}, {long.entries:,} entries beside {short.entries:,}:"
        " CPU of application and PostgreSQL",
        unit="ms/request",
        reference=found[short].ms,
        ours=found[long].ms,
        goal=WITHIN,
        rule=Rule.RATIO_AT_MOST,
        note=f"application {found[long].application} beside {found[short].application}",
    )


def _ageing(bench: Bench) -> Result:
    """Age what one vendor is owed: a million orders where a database may be made for them."""
    if bench.small.database is None or not worlds.is_superuser():
        return _ageing_here()
    with worlds.copy(bench.small, "bench_owing"):
        owing.fill()
        worlds.settle()
        return _ageing_here()


def _ageing_here() -> Result:
    row = sql.fetch_one(
        "SELECT vendor_id, array_agg(DISTINCT retailer_id), count(*) FROM orders"
        " WHERE due_date IS NOT NULL AND due_amount > 0 GROUP BY 1 ORDER BY 3 DESC LIMIT 1"
    )
    vendor_id, retailers, orders = row or (0, [], 0)
    ours = _seconds(lambda: selectors.ageing(vendor_id=vendor_id, retailer_ids=retailers))
    reference = _seconds(lambda: ageing(vendor_id, retailers))
    return Result(
        target=TARGET,
        name=f"ageing of the {orders:,} open orders of one vendor, by retailer",
        unit="s",
        reference=reference,
        ours=ours,
        goal=AGEING_SECONDS,
        rule=Rule.OURS_AT_MOST,
        note="the reference sums by condition over the rows, as the ORM says it",
    )


def _seconds(call: Call) -> float:
    """Return the median time of a call; PostgreSQL's work is most of it."""
    call()
    taken = []
    for _ in range(5):
        begin = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)

"""Target 5: the admin's lists: their time, their statements, and that none reads a big table whole."""

import re
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

from django.contrib import admin
from django.test import Client
from django.urls import reverse

from bench.harness import plots, postgres
from bench.harness.findings import Bench, Findings, Table
from bench.harness.results import Result, Rule, shown
from bench.harness.worlds import World
from bench.load import is_lean
from khaacho.adminsite.paginator import COUNTED
from khaacho.models import User
from orders.models import Order

REPEATS = 5
PER_PAGE = 50
DEEP = "orders.Order, deepest page"
MOST_MS = 200
STOCK = "/reference/admin/orders/order/"
COUNT = re.compile(r"^SELECT COUNT\(\*\) AS \"__count\" FROM \"(\w+)\"", re.IGNORECASE)
TARGET = 5
# Of an order's insides, which a lean trade has not: there is nothing to list.
LEFT_OUT = ("orders.OrderItem", "orders.OrderStatusLog", "orders.VendorOrderAcceptance")


@dataclass(frozen=True)
class Page:
    """What one page of the desk cost: ms of both, statements, and the faults of its plans."""

    name: str
    application: float
    postgres: float | None
    statements: int
    faults: tuple[str, ...]

    @property
    def ms(self) -> float:
        return self.application + (self.postgres or 0.0)


def measure(bench: Bench) -> Findings:
    """Measure every changelist in the big world and the largest; count its statements in the small one."""
    bench.small.enter()
    client = signed_in()
    few = {name: _statements(client, address) for name, address in _lists()}
    found = [_measured(bench, bench.big, few)]
    if bench.largest is not bench.big:
        found.append(_measured(bench, bench.largest, few))
    return Findings(
        [result for one in found for result in one.results],
        [table for one in found for table in one.tables],
        {name: plot for one in found for name, plot in one.plots.items()},
    )


def _measured(bench: Bench, world: World, few: dict[str, int]) -> Findings:
    world.enter()
    client = signed_in()
    pages = []
    for name, address in _lists():
        if is_lean(world.orders) and name in LEFT_OUT:
            continue
        bench.say(f"5. {name}, {world.orders:,} orders")
        pages.append(_page(client, name, address))
    bench.say("5. a stock changelist of orders")
    stock = _page(client, "Django's own ModelAdmin of orders", STOCK)
    return _findings(world, pages, stock, few)


def _findings(world: World, pages: list[Page], stock: Page, few: dict[str, int]) -> Findings:
    slowest = max(pages, key=lambda page: page.ms)
    grown = [p.name for p in pages if p.statements > few[p.name]]
    faulty = [p for p in pages if p.faults]
    ms = {p.name: p.ms for p in pages}
    groups = {
        "first page": {"ours": ms[Order._meta.label], "stock ModelAdmin": stock.ms},
        "deepest page": {"ours": ms[DEEP]},
    }
    title = f"Admin list of orders, {world.orders:,} of them"
    return Findings(
        [
            _bounded(
                world, "slowest admin list", "ms", slowest.ms, MOST_MS, stock.ms, slowest.name
            ),
            _bounded(
                world,
                "admin lists with more statements than in a smaller trade",
                "lists",
                len(grown),
                0,
                None,
                ", ".join(grown),
            ),
            _bounded(
                world,
                "admin lists that read a big table whole or count it",
                "lists",
                len(faulty),
                0,
                1 if stock.faults else 0,
                "; ".join(f"{p.name}: {', '.join(p.faults)}" for p in faulty),
            ),
        ],
        [_table(world, [*pages, stock])],
        {f"admin-orders-{world.orders}": plots.bars(title, "ms", groups)},
    )


def _table(world: World, pages: list[Page]) -> Table:
    header = [
        "list",
        "application, ms",
        "PostgreSQL, ms",
        "statements",
        "whole tables read or counted",
    ]
    rows = [
        [
            p.name,
            shown(p.application),
            shown(p.postgres),
            p.statements,
            ", ".join(p.faults) or "none",
        ]
        for p in pages
    ]
    lean = "A lean trade: orders, ledger and payments alone." if is_lean(world.orders) else ""
    return Table(f"The admin's lists with {world.orders:,} orders", header, rows, lean)


def _bounded(
    world: World, name: str, unit: str, ours: float, goal: float, reference: float | None, note: str
) -> Result:
    return Result(
        target=TARGET,
        name=f"{name}, {world.orders:,} orders",
        unit=unit,
        reference=reference,
        ours=ours,
        goal=goal,
        rule=Rule.OURS_AT_MOST,
        note=note,
    )


def signed_in() -> Client:
    """Return a browser in which a superuser of this world is logged in."""
    user = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    if user is None:
        user = User.objects.filter(role="ADMIN", is_active=True).order_by("pk").first()
        assert user, "this database has no administrator"
        User.objects.filter(pk=user.pk).update(is_superuser=True)
    client = Client(headers={"host": "127.0.0.1"})
    client.force_login(user)
    return client


def _lists() -> Iterator[tuple[str, str]]:
    """Yield every registered model's list by name with its address, and the deepest page of orders."""
    for model in sorted(admin.site._registry, key=lambda m: m._meta.label):
        options = model._meta
        address = reverse(f"admin:{options.app_label}_{options.model_name}_changelist")
        yield options.label, address
        if model is Order:
            last = min(Order.objects.count(), COUNTED) // PER_PAGE
            yield DEEP, f"{address}?p={max(1, last)}"


def _get(client: Client, address: str) -> None:
    response = client.get(address)
    if response.status_code != 200:
        raise RuntimeError(f"{address}: {response.status_code}")


def _statements(client: Client, address: str) -> int:
    return len(postgres.captured(lambda: _get(client, address)))


def _page(client: Client, name: str, address: str) -> Page:
    _get(client, address)
    taken = []
    for _ in range(REPEATS):
        begin = time.process_time()
        _get(client, address)
        taken.append((time.process_time() - begin) * 1000)
    cost = postgres.cost(lambda: _get(client, address), REPEATS)
    sent = postgres.captured(lambda: _get(client, address))
    return Page(name, statistics.median(taken), cost.ms if cost else None, len(sent), _faults(sent))


def _faults(statements: list[str]) -> tuple[str, ...]:
    """Name the big tables that are counted or read from end to end."""
    big = postgres.big_tables()
    found: dict[str, None] = {}
    for statement in statements:
        counted = COUNT.match(statement)
        if counted and counted[1] in big and " LIMIT " not in statement:
            found[f"counts {counted[1]}"] = None
        if statement.lstrip("( ").upper().startswith(("SELECT", "WITH")):
            for table, rows in postgres.explain(statement).scanned().items():
                if table in big and rows > COUNTED:
                    found[f"reads {table}"] = None
    return tuple(found)

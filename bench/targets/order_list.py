"""Target 1: the order list, against a ModelViewSet, against size and against depth."""

import json
from collections.abc import Iterator, Mapping, Sequence

from django.conf import settings
from django.test import override_settings

from bench.harness import pgbench, plots, postgres
from bench.harness.client import Client, Person, retailers, staff
from bench.harness.cursors import cursor_at
from bench.harness.figures import Figure, compare, header
from bench.harness.findings import Bench, Findings, Table
from bench.harness.results import Result, Rule
from bench.harness.rounds import alternate
from khaacho import sql

PATH = "/api/v1/orders/"
OURS = f"{PATH}?cursor=&limit=20"
REFERENCE = "/reference/orders/"
PAGE = 20
DEPTHS = (10, 100, 1_000, 10_000)  # pages beside the first
ORDER = ("-created_at", "-id")
COMPARED = 25  # shops whose first pages are compared row by row
WITHIN = 1.2
TARGET = 1
UNLIMITED = 10**9  # requests a minute


def measure(bench: Bench) -> Findings:
    """Compare with the reference, then with other sizes and depths."""
    bench.say("1. order list beside the reference")
    bench.big.enter()
    results = [*_against_reference(bench), *_plan()]
    bench.say("1. order list by size")
    by_size = _by_size(bench)
    bench.say("1. order list by depth")
    by_depth = _by_depth(bench)
    return Findings(
        [*results, *by_size.results, *by_depth.results],
        [*by_size.tables, *by_depth.tables],
        {**by_size.plots, **by_depth.plots},
    )


def _against_reference(bench: Bench) -> list[Result]:
    shops = retailers()
    ours, reference, counted = Client(shops), Client(shops), _counted(shops)
    _compare_rows(Client(shops[:COMPARED]))
    spread = alternate(
        {
            "ours": ours.getting(OURS),
            "reference": reference.getting(REFERENCE),
            "counted": counted.getting(OURS),
        },
        bench.requests,
    )
    return [
        Result(
            target=TARGET,
            name="order list, 20 rows: CPU of the application",
            unit="ms/request",
            reference=spread["reference"].median,
            ours=spread["ours"].median,
            goal=1 / 7,
            rule=Rule.RATIO_AT_MOST,
            note=f"{len(shops)} shops in turn, rows compared with the reference's;"
            f" ours {spread['ours']}, reference {spread['reference']}",
        ),
        Result(
            target=TARGET,
            name="order list, 20 rows, with requests counted: CPU of the application",
            unit="ms/request",
            reference=spread["reference"].median,
            ours=spread["counted"].median,
            note=f"rate limits in Redis, which the reference has not; {spread['counted']}",
        ),
        *_postgres_cost(bench, ours, reference),
    ]


def _counted(shops: Sequence[Person]) -> Client:
    """Return a client of the application as production has it: each request is counted, none refused."""
    settings.RATE_LIMITS.update(dict.fromkeys(settings.RATE_LIMITS, (UNLIMITED, UNLIMITED)))
    with override_settings(RATE_LIMITED=True):  # read as the application is made
        return Client(shops)


def _compare_rows(shops: Client) -> None:
    """Raise RuntimeError unless both show the same rows to the same shop."""
    for _ in shops.people:
        ours = json.loads(shops.get(OURS))["data"]
        shops.turn -= 1
        reference = json.loads(shops.get(REFERENCE))["results"]
        for mine, theirs in zip(ours, reference, strict=True):
            if mine != theirs:
                raise RuntimeError(f"ours shows {mine}, the reference {theirs}")


def _postgres_cost(bench: Bench, ours: Client, reference: Client) -> list[Result]:
    mine = postgres.cost(lambda: ours.get(OURS), bench.requests)
    theirs = postgres.cost(lambda: reference.get(REFERENCE), bench.requests)
    if mine is None or theirs is None:
        bench.say("pg_stat_statements is not there: PostgreSQL's cost is not reported")
        return []
    return [
        Result(
            target=TARGET,
            name="order list: PostgreSQL's time",
            unit="ms/request",
            reference=theirs.ms,
            ours=mine.ms,
            note="pg_stat_statements",
        ),
        Result(
            target=TARGET,
            name="order list: pages that PostgreSQL looked at",
            unit="pages of 8 kB/request",
            reference=theirs.blocks,
            ours=mine.blocks,
        ),
    ]


def _plan() -> list[Result]:
    """Count the statements, and what the list's own one reads from the table."""
    shops = Client(retailers(1))
    theirs = len(postgres.captured(lambda: shops.get(REFERENCE)))
    mine = postgres.captured(lambda: shops.get(OURS))
    plan = postgres.explain(mine[-1])
    fetched = plan.heap_fetches
    return [
        Result(
            target=TARGET,
            name="order list: statements",
            unit="statements",
            reference=theirs,
            ours=len(mine),
            goal=1,
            rule=Rule.OURS_AT_MOST,
        ),
        Result(
            target=TARGET,
            name="order list: rows fetched from the table",
            unit="rows",
            reference=PAGE,
            ours=PAGE if fetched is None else fetched,
            goal=2,
            rule=Rule.OURS_AT_MOST,
            note=str(plan),
        ),
    ]


def _by_size(bench: Bench) -> Findings:
    """Compare the same page in each world."""
    clients = {}
    for size, world in bench.worlds.items():
        world.enter()
        clients[size] = Client(retailers())

    def inside(path: str) -> dict[int, Figure]:
        calls = {
            size: world.inside(clients[size].getting(path)) for size, world in bench.worlds.items()
        }
        for (
            size,
            call,
        ) in calls.items():  # the first reading of a page is the disk's cost, not the list's
            for _ in clients[size].people:
                call()
        return compare(calls, bench.requests)

    ours, reference = inside(OURS), inside(REFERENCE)
    plot = plots.lines(
        "Order list: cost by number of orders",
        "orders in the database",
        "ms/request, application + PostgreSQL",
        {"ours": _line(ours), "DRF reference": _line(reference)},
    )
    rows = [[f"{n:,}", *ours[n].cells(), *reference[n].cells()] for n in ours]
    return Findings(
        _constant("size", "orders", ours),
        [
            Table(
                "The order list by number of orders",
                ["orders", *header("ours"), *header("reference")],
                rows,
            )
        ],
        {"order-list-by-size": plot},
    )


def _by_depth(bench: Bench) -> Findings:
    """Compare pages of staff's list of all orders, reached by cursors."""
    bench.big.enter()
    client = Client([staff()])
    found = compare(
        {page: client.getting(path) for page, path in _pages()},
        bench.requests,
    )
    plot = plots.lines(
        "Order list: cost by depth of the cursor",
        "page of 20",
        "ms/request, application + PostgreSQL",
        {"ours": _line(found)},
    )
    rows = [[f"{page:,}", *figure.cells()] for page, figure in found.items()]
    return Findings(
        _constant("depth", "pages", found),
        [Table("Staff's list of all orders by page", ["page", *header("ours")], rows)],
        {"order-list-by-depth": plot},
    )


def _pages() -> Iterator[tuple[int, str]]:
    """Yield the pages of staff's list that exist, each with its address."""
    yield 1, OURS
    for page in DEPTHS:
        row = sql.fetch_one(
            "SELECT created_at, id FROM orders ORDER BY created_at DESC, id DESC OFFSET %s LIMIT 1",
            [(page - 1) * PAGE - 1],
        )
        if row is not None:
            yield page, f"{PATH}?cursor={cursor_at(PATH, ORDER, row)}&limit={PAGE}"


def _line(figures: Mapping[int, Figure]) -> list[tuple[float, float]]:
    return [(float(x), figure.ms) for x, figure in sorted(figures.items())]


def _constant(what: str, unit: str, figures: Mapping[int, Figure]) -> list[Result]:
    """Hold the most against the least; nothing when there is but one."""
    least, most = min(figures), max(figures)
    if least == most:
        return []
    return [
        Result(
            target=TARGET,
            name=f"order list by {what}, {most:,} {unit} beside {least:,}:"
            " CPU of application and PostgreSQL",
            unit="ms/request",
            reference=figures[least].ms,
            ours=figures[most].ms,
            goal=WITHIN,
            rule=Rule.RATIO_AT_MOST,
            note=f"application {figures[most].application} beside {figures[least].application}",
        )
    ]


def scripts() -> list[str]:
    """Return pgbench scripts of the list as the application sends it, one for each of many shops."""
    shops = Client(retailers(pgbench.SCRIPTS_MOST))
    made = []
    for _ in shops.people:
        with pgbench.recording() as recorded:
            shops.get(OURS)
        made.append(pgbench.script(recorded))
    return made

"""Target 8: what web and worker processes take, and that it stays so."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from time import monotonic, sleep

from bench.harness import bodies, plots, servers, wire
from bench.harness.client import Person, retailers
from bench.harness.findings import Bench, Findings
from bench.harness.results import Result, Rule
from khaacho import sql

STEPS = 12
WEB_MB, WORKER_MB = 150, 200
GROWTH = 1.02  # over the second half
ORDER_EVERY = 40  # requests; the others read
PATHS = (
    "/api/v1/orders/?cursor=&limit=20",
    "/api/v1/products/?limit=20",
    "/api/v1/credit/ledger/?cursor=&limit=20",
    "/api/v1/vendors/",
    "/api/v1/payments/?cursor=&limit=20",
    "/api/v1/credit/",
)
STALLED_SECONDS = 60.0
TARGET = 8


@dataclass
class Watch:
    """Memory over time: by how much work was done, the largest process's MB and the sum of all."""

    server: servers.Server
    done: list[float] = field(default_factory=list)
    largest: list[float] = field(default_factory=list)
    total: list[float] = field(default_factory=list)

    def look(self, done: int) -> None:
        found = self.server.memory()
        self.done.append(float(done))
        self.largest.append(max(m.rss for m in found))
        self.total.append(sum(m.pss for m in found))

    @property
    def halfway(self) -> float:
        """Return the sum when half of the work was done."""
        half = self.done[-1] / 2
        return next(mb for done, mb in zip(self.done, self.total, strict=True) if done >= half)

    def line(self) -> list[tuple[float, float]]:
        return list(zip(self.done, self.largest, strict=True))


def measure(bench: Bench) -> Findings:
    """Watch both while they work in the big world."""
    bench.big.enter()
    bench.say(f"8. web memory over {bench.soak:,} requests")
    web = _web(bench)
    bench.say(f"8. worker memory over {bench.jobs:,} jobs")
    worker = _worker(bench)
    plot = plots.lines(
        "Memory of the largest process",
        "requests or jobs done",
        "MB resident",
        {"web": web.line(), "worker": worker.line()},
        logarithmic=False,
    )
    return Findings(
        [
            *_results("web", "requests", web, WEB_MB),
            *_results("worker", "jobs", worker, WORKER_MB),
        ],
        plots={"memory": plot},
    )


def _results(name: str, unit: str, watch: Watch, most: float) -> list[Result]:
    done = f"{watch.done[-1]:,.0f} {unit}"
    return [
        Result(
            target=TARGET,
            name=f"{name}: memory of the largest process after {done}",
            unit="MB resident",
            reference=watch.largest[0],
            ours=watch.largest[-1],
            goal=most,
            rule=Rule.OURS_AT_MOST,
            note="the reference is the same process at its start",
        ),
        Result(
            target=TARGET,
            name=f"{name}: growth over the second half of {done}",
            unit="MB, all processes",
            reference=watch.halfway,
            ours=watch.total[-1],
            goal=GROWTH,
            rule=Rule.RATIO_AT_MOST,
        ),
    ]


def _web(bench: Bench) -> Watch:
    """Send as many requests as asked for, most of them reads, from 16 connections."""
    market, people = bodies.open_market(), retailers()
    each = max(wire.CONNECTIONS, bench.soak // STEPS)
    with servers.web(bench.big.url) as server:
        watch = Watch(server)
        watch.look(0)
        for step in range(STEPS):
            wire.send(server.port, _mixed(market, people, each, step))
            watch.look((step + 1) * each)
    return watch


def _mixed(market: bodies.Market, people: list[Person], count: int, step: int) -> list[bytes]:
    orders = islice(market.bodies(3), count)
    made = []
    for n, body in zip(range(count), orders, strict=True):
        if n % ORDER_EVERY == 0:
            shop = market.shops[(step + n) % len(market.shops)]
            made.append(wire.request(shop, "POST", "/api/v1/orders/", body))
        else:
            someone = people[(step * count + n) % len(people)]
            made.append(wire.request(someone, "GET", PATHS[n % len(PATHS)]))
    return made


def _worker(bench: Bench) -> Watch:
    """Let a worker route orders that were just placed, and what follows from them."""
    market = bodies.open_market()
    each = max(wire.CONNECTIONS, bench.jobs // STEPS)
    with servers.web(bench.big.url) as site, servers.worker(bench.big.url) as server:
        watch, before = Watch(server), _finished()
        watch.look(0)
        for _ in range(STEPS):
            wanted = _finished() + each
            orders = islice(market.bodies(3), each)
            wire.send(
                site.port,
                [
                    wire.request(market.shops[n % len(market.shops)], "POST", "/api/v1/orders/", b)
                    for n, b in enumerate(orders)
                ],
            )
            _wait(lambda wanted=wanted: _finished() >= wanted)  # type: ignore[misc]
            watch.look(_finished() - before)
    return watch


def _finished() -> int:
    row = sql.fetch_one("SELECT count(*) FROM jobs WHERE state = 'done'")
    assert row
    return int(row[0])


def _wait(happened: Callable[[], bool]) -> None:
    deadline = monotonic() + STALLED_SECONDS
    while not happened():
        if monotonic() > deadline:
            raise RuntimeError(f"the worker did not finish its jobs within {STALLED_SECONDS:.0f} s")
        sleep(0.2)

"""Load over HTTP from 16 connections, ours and the reference by turns, and PostgreSQL alone beside it."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

from bench.harness import bodies, pgbench, plots, servers, wire
from bench.harness.client import retailers
from bench.harness.findings import Bench, Findings, Table
from bench.harness.results import Result, shown
from bench.targets import catalogue, order_list, order_placing

ROUNDS = 4  # turns of each competitor


@dataclass(frozen=True)
class Kind:
    """A request as ours and as the reference's, and the target whose figure it illustrates."""

    target: int
    name: str
    method: str
    ours: str
    reference: str


KINDS = (
    Kind(1, "order list", "GET", order_list.OURS, order_list.REFERENCE),
    Kind(2, "order of 3 lines", "POST", order_placing.OURS, order_placing.REFERENCE),
    Kind(3, "catalogue page", "GET", catalogue.OURS, catalogue.REFERENCE),
)


def measure(bench: Bench) -> Findings:
    """Report rates, percentiles and the server's CPU: for information, wall-clock is noisy."""
    bench.big.enter()
    results: list[Result] = []
    rows: list[list[object]] = []
    groups: dict[str, dict[str, float]] = {}
    rate = 0.0
    with servers.web(bench.big.url) as server:
        for kind in KINDS:
            bench.say(f"HTTP: {kind.name}")
            seen = _by_turns(server, kind, bench.load)
            results += _results(kind, seen)
            rows += [[kind.name, name, *s.row()] for name, s in seen.items()]
            groups[kind.name] = {name: s.rate for name, s in seen.items()}
            rate = seen["ours"].rate if kind.target == 1 else rate
    header = ["request", "", "requests/s", "p50, ms", "p95, ms", "p99, ms", "CPU of the server, ms"]
    results += _floor(bench, rate)
    return Findings(
        results,
        [Table(f"Over HTTP from {wire.CONNECTIONS} connections", header, rows)],
        {"http-rates": plots.bars("Requests answered per second over HTTP", "requests/s", groups)},
    )


@dataclass(frozen=True)
class Seen:
    """One competitor's answers over all its turns."""

    answers: wire.Answered
    cpu: float  # ms of the server per request

    @property
    def rate(self) -> float:
        return self.answers.accepted / self.answers.elapsed

    def row(self) -> list[object]:
        return [shown(v) for v in (self.rate, *self.answers.percentiles, self.cpu)]


def _by_turns(server: servers.Server, kind: Kind, requests: int) -> Mapping[str, Seen]:
    each = max(wire.CONNECTIONS, requests // ROUNDS)
    prepared = {
        "ours": _requests(kind, kind.ours, requests + each),
        "reference": _requests(kind, kind.reference, requests + each),
    }
    parts: dict[str, list[tuple[wire.Answered, float]]] = {name: [] for name in prepared}
    for number in range(ROUNDS + 1):
        for name, texts in prepared.items():
            begin = server.cpu_seconds()
            answered = wire.send(server.port, texts[number * each : (number + 1) * each])
            if number:  # the first turn warms up
                parts[name].append((answered, server.cpu_seconds() - begin))
    return {name: _together(found) for name, found in parts.items()}


def _requests(kind: Kind, path: str, count: int) -> list[bytes]:
    if kind.method == "POST":
        market = bodies.open_market()
        orders = islice(market.bodies(3), count)
        shops = market.shops
        return [
            wire.request(shops[n % len(shops)], "POST", path, body) for n, body in enumerate(orders)
        ]
    people = retailers()
    return [wire.request(people[n % len(people)], "GET", path) for n in range(count)]


def _together(parts: list[tuple[wire.Answered, float]]) -> Seen:
    statuses: dict[int, int] = {}
    for answered, _ in parts:
        for status, count in answered.statuses.items():
            statuses[status] = statuses.get(status, 0) + count
    seconds = [s for answered, _ in parts for s in answered.seconds]
    answers = wire.Answered(seconds, statuses, sum(answered.elapsed for answered, _ in parts))
    return Seen(answers, sum(cpu for _, cpu in parts) * 1000 / len(seconds))


def _results(kind: Kind, seen: Mapping[str, Seen]) -> list[Result]:
    ours, reference = seen["ours"], seen["reference"]
    p50, p95, p99 = ours.answers.percentiles
    q50, q95, q99 = reference.answers.percentiles
    return [
        Result(
            target=kind.target,
            name=f"{kind.name} over HTTP, {wire.CONNECTIONS} connections",
            unit="requests/s",
            reference=reference.rate,
            ours=ours.rate,
            note=f"p50/p95/p99 {p50:.0f}/{p95:.0f}/{p99:.0f} ms beside {q50:.0f}/{q95:.0f}/{q99:.0f};"
            f" answers {ours.answers.statuses} beside {reference.answers.statuses}",
        ),
        Result(
            target=kind.target,
            name=f"{kind.name} over HTTP: CPU of the server",
            unit="ms/request",
            reference=reference.cpu,
            ours=ours.cpu,
        ),
    ]


def _floor(bench: Bench, rate: float) -> list[Result]:
    """Set the rate of lists over HTTP beside that of PostgreSQL alone, with prepared statements."""
    bench.say("HTTP: PostgreSQL alone, by pgbench")
    alone = pgbench.run(
        bench.big.url,
        order_list.scripts(),
        clients=wire.CONNECTIONS // 2,
        transactions=bench.load * 10,
        protocol="prepared",
    )
    if alone is None:
        bench.say("pgbench is not there: the floor is not reported")
        return []
    return [
        Result(
            target=1,
            name="order list over HTTP beside pgbench with the same statement, prepared",
            unit="requests/s",
            reference=alone,
            ours=rate,
            note="the share of PostgreSQL's own rate that the web tier reaches",
        )
    ]

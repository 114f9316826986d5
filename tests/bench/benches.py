"""A run of the benchmark with as few requests as it takes, in the database of the test."""

from bench import session
from bench.harness.findings import Bench, Findings
from bench.harness.results import Result
from bench.harness.worlds import World
from orders.models import Order
from tests.bench.conftest import quietly

CPU = "CPU of the application"


def make_bench() -> Bench:
    orders = Order.objects.count()
    return Bench(worlds={orders: World(orders)}, requests=1, load=80, soak=16, jobs=16, say=quietly)


def measured(*parts: str) -> tuple[list[Findings], dict[str, Result]]:
    findings = list(session.measure(make_bench(), parts))
    return findings, {result.name: result for found in findings for result in found.results}

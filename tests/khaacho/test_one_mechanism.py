"""Nothing but khaacho.broker hands work to Celery, and nothing uses Celery's own delays or retries."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

from khaacho.enums import Queue
from tests.processes import ROOT

APPS = ("khaacho", "vendors", "credit", "orders", "payments", "whatsapp", "monitoring")
BROKER = ROOT / "khaacho" / "broker.py"
PUBLISHING = {"delay", "apply_async", "send_task"}
DELAYS = {"countdown", "eta"}


def offences(source: str) -> Iterator[str]:
    """Yield what a source hands to Celery: `.delay(…)`, `.retry(…)`, `countdown=` …"""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and (
                node.func.attr in PUBLISHING or ast.unparse(node.func) == "self.retry"
            ):
                yield f"line {node.lineno}: .{node.func.attr}()"
            for keyword in node.keywords:
                if keyword.arg in DELAYS:
                    yield f"line {node.lineno}: {keyword.arg}="


SOURCES = sorted(path for app in APPS for path in (ROOT / app).rglob("*.py") if path != BROKER)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_broker_publishes(path: Path):
    assert list(offences(path.read_text())) == []


def test_the_broker_publishes_without_delays():
    source = BROKER.read_text()
    assert list(offences(source)) == []
    assert source.count("producer.publish(") == 1


@pytest.mark.parametrize(
    "source",
    [
        "run_job.delay(1)",
        "tasks.run_job.apply_async((1,))",
        "app.send_task('khaacho.run_job')",
        "f(1, countdown=3)",
        "f(eta=soon)",
        "self.retry()",
    ],
)
def test_the_reader_sees(source):
    assert list(offences(source))


def test_celery_knows_exactly_our_queues():
    assert [queue.name for queue in settings.CELERY_TASK_QUEUES] == Queue.values
    assert settings.CELERY_TASK_DEFAULT_QUEUE in Queue.values

import pytest
from django.db import transaction

from khaacho import breaker, events, jobs, logs, schedules
from khaacho.models import Job
from tests.khaacho import kinds


@pytest.fixture(autouse=True)
def _registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' kinds, events and schedules, for one test; a closed breaker."""
    for module, name in (
        (jobs.kinds, "known"),
        (events, "_events"),
        (events, "_subscribers"),
        (schedules, "_schedules"),
    ):
        monkeypatch.setattr(module, name, dict(getattr(module, name)))
    kinds.register()
    breaker.close_all()


@pytest.fixture
def _request_id() -> None:
    token = logs.request_id.set("req-1")
    yield
    logs.request_id.reset(token)


def enqueue(kind: str, args: dict | None = None, **options) -> int | None:
    with transaction.atomic():
        return jobs.enqueue(kind, args, **options)


def state(job_id: int) -> str:
    return Job.objects.values_list("state", flat=True).get(pk=job_id)


def states() -> list[str]:
    return list(Job.objects.order_by("pk").values_list("state", flat=True))

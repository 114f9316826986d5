"""A broker that is dead, hung, locked or full costs a request less than half a second, once."""

import json
import logging
import threading
import time
from base64 import b64decode
from dataclasses import replace

import pytest
from django.db import transaction

from khaacho import breaker, broker, jobs
from khaacho.enums import Queue
from khaacho.models import Job
from khaacho.tasks import run_job
from tests.khaacho.conftest import enqueue
from tests.processes import RedisServer, free_port, list_of, redis_server, wait_for
from tests.races import race
from tests.stopwatch import Stopwatch

pytestmark = pytest.mark.django_db(transaction=True)
POINTER = broker.Pointer(1, "reports", 60, 90)


@pytest.fixture(scope="module")
def server():
    with redis_server("secret") as started:
        yield started


@pytest.fixture
def own(server: RedisServer, settings) -> RedisServer:
    """A Redis of this module's own, in good health, as the broker."""
    settings.CELERY_BROKER_URL = server.url
    with server.client as client:
        client.flushall()
        client.config_set("maxmemory", 0)
    return server


def seconds(call) -> float:
    watch = Stopwatch()
    call()
    return watch.seconds


def enqueue_note() -> None:
    enqueue("test.note", {"label": "a"})


def assert_costs_one_timeout() -> None:
    """The first request waits for the broker at most half a second, the next not at all."""
    assert seconds(enqueue_note) < 0.5
    assert seconds(lambda: [enqueue_note() for _ in range(10)]) < 0.2
    assert Job.objects.count() == 11


def test_closed_port(settings):
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{free_port()}/0"
    assert_costs_one_timeout()


def test_wrong_password(own, settings):
    settings.CELERY_BROKER_URL = f"redis://:wrong@127.0.0.1:{own.port}/0"
    assert_costs_one_timeout()


def test_unreachable_name(settings):
    settings.CELERY_BROKER_URL = "redis://no-such-host.invalid:6379/0"
    enqueue_note()
    assert Job.objects.count() == 1


def test_frozen_before_the_first_message(own):
    own.freeze()
    try:
        assert_costs_one_timeout()
    finally:
        own.thaw()


def test_frozen_between_messages(own):
    assert broker.publish([POINTER])
    own.freeze()
    try:
        assert_costs_one_timeout()
    finally:
        own.thaw()


def test_frozen_for_a_crowd(own):
    """Requests at once wait at the same time, not one after the other."""
    own.freeze()
    try:
        assert seconds(lambda: race(*[enqueue_note] * 12)) < 2
    finally:
        own.thaw()
    assert Job.objects.count() == 12


def test_full(own):
    with own.client as client:
        client.config_set("maxmemory", 1)
    assert_costs_one_timeout()


def test_restarted_between_messages(own):
    assert broker.publish([POINTER])
    own.stop()
    own.start()
    assert broker.publish([POINTER])
    assert broker.depths([Queue.REPORTS]) == {"reports": 1}


def test_breaker_closes_again_after_its_time(own, monkeypatch):
    monkeypatch.setattr(breaker, "BREAKER_SECONDS", 0.2)
    own.stop()
    assert not broker.publish([POINTER])
    own.start()
    breaker.breaker_of(own.url).trip()  # starting took a moment
    assert not broker.publish([POINTER])
    time.sleep(0.25)
    assert broker.publish([POINTER])
    assert broker.publish([POINTER])


def test_while_open_one_caller_tries():
    """The one that tries may send as many commands as it needs to find out."""
    tried = breaker.Breaker()
    assert [tried.trip(), tried.trip()] == [True, False]
    assert not tried.permits()
    tried.open_until = time.monotonic() - 1
    assert [tried.permits(), tried.permits()] == [True, True]
    others: list[bool] = []
    threading.Thread(target=lambda: others.append(tried.permits())).start()
    wait_for(lambda: others)
    assert others == [False]
    tried.reset()
    assert tried.permits()


def test_one_breaker_for_all_databases_of_a_server():
    one = breaker.breaker_of("redis://:secret@127.0.0.1:6379/0")
    assert breaker.breaker_of("redis://127.0.0.1:6379/1") is one
    assert breaker.breaker_of("redis://127.0.0.1:6380/0") is not one


def test_broker_may_fail_after_any_part_of_a_batch(own):
    """What was taken and what was not is settled by the sweep."""
    with transaction.atomic():
        jobs.enqueue_many([("test.note", {"label": "a"}, "")] * 200)
        own.freeze()
    try:
        assert Job.objects.count() == 200
    finally:
        own.thaw()


def test_message_is_a_pointer_with_the_kinds_limits(own):
    enqueue("test.short", {"label": "a", "seconds": 0}, reference="order:1")
    with own.client as client:
        message = client.lindex(list_of("reports"), 0).decode()
    assert '"timelimit": [2, 1]' in message
    assert '"eta": null' in message
    assert "order:1" not in message
    assert "label" not in message


def test_failure_is_a_line_without_the_password(own, settings, caplog):
    settings.CELERY_BROKER_URL = f"redis://:hunter2@127.0.0.1:{own.port}/0"
    with caplog.at_level(logging.WARNING):
        assert not broker.publish([POINTER])
    assert [record.message for record in caplog.records] == ["broker.failed"]
    assert "hunter2" not in caplog.text + str(vars(caplog.records[0]))


def test_message_is_the_one_that_celery_would_send(own):
    """Made once and sent with new ids: as if `apply_async` had been called for each."""
    assert broker.publish([POINTER, replace(POINTER, job_id=2)])
    with broker._producer() as producer:
        run_job.apply_async(
            args=(2,),
            producer=producer,
            queue="reports",
            soft_time_limit=60,
            time_limit=90,
            priority=POINTER.step,
        )
    with own.client as client:
        theirs, ours, first = (json.loads(text) for text in client.lrange(list_of("reports"), 0, 2))
    ids = {m["headers"]["id"] for m in (theirs, ours, first)}
    assert len(ids) == 3
    for message in (ours, theirs):
        task_id = message["headers"].pop("id")
        assert message["headers"].pop("root_id") == task_id
        assert message["properties"].pop("correlation_id") == task_id
        assert message["properties"].pop("delivery_tag")
        assert message["properties"].pop("reply_to")  # of the thread; there are no replies
    assert ours == theirs
    assert json.loads(b64decode(first["body"]))[0] == [1]

"""A fact makes one job for each subscriber, in its own transaction."""

from dataclasses import dataclass

import pytest
from django.db import transaction
from django.db.transaction import TransactionManagementError

from khaacho import events, jobs
from khaacho.events import Event
from khaacho.models import Job
from tests.khaacho.kinds import TeaBrewed, TeaSpilt, effects

pytestmark = pytest.mark.django_db(transaction=True)
BREWED = TeaBrewed(pot_id=7, sort="Ilam")


def publish(*facts: Event) -> None:
    with transaction.atomic():
        events.publish(*facts)


@pytest.mark.parametrize("fact", [BREWED, TeaSpilt(pot_id=7)])
def test_refuses_outside_a_transaction_whether_or_not_anyone_listens(fact):
    with pytest.raises(TransactionManagementError):
        events.publish(fact)


def test_inserts_one_job_per_fact_and_subscriber_in_one_statement(django_assert_num_queries):
    with transaction.atomic(), django_assert_num_queries(1):
        events.publish(BREWED, TeaSpilt(pot_id=7), TeaBrewed(pot_id=8, sort="Jun Chiyabari"))
    assert list(Job.objects.order_by("pk").values_list("queue", "reference")) == [
        ("order_processing", "pot:7"),
        ("whatsapp", "pot:7"),
        ("order_processing", "pot:8"),
        ("whatsapp", "pot:8"),
    ]


def test_is_undone_with_its_fact():
    with transaction.atomic():
        events.publish(BREWED)
        transaction.set_rollback(True)
    assert not Job.objects.exists()


def test_handler_receives_the_event_and_a_failing_one_blocks_no_other():
    publish(BREWED)
    assert jobs.run_due() == 2
    assert effects() == ["drank Ilam of pot 7 (TeaBrewed)"]
    assert dict(Job.objects.values_list("queue", "state")) == {
        "order_processing": "queued",
        "whatsapp": "done",
    }


def test_subscribing_twice_is_subscribing_once():
    events.subscribe(TeaSpilt, "tests.khaacho.kinds.drink")
    events.subscribe(TeaSpilt, "tests.khaacho.kinds.drink")
    publish(TeaSpilt(pot_id=7))
    assert Job.objects.count() == 1


def test_refuses_two_events_of_one_name():
    @dataclass(frozen=True, kw_only=True)
    class TeaBrewed(Event):
        pass

    with pytest.raises(ValueError, match="two events are called TeaBrewed"):
        events.subscribe(TeaBrewed, "tests.khaacho.kinds.drink")


def test_refuses_a_handler_whose_kind_would_not_fit():
    with pytest.raises(ValueError, match="longer than 80"):
        events.subscribe(TeaBrewed, "tests.khaacho.kinds." + "x" * 60)


def test_every_subscriber_exists():
    from django.utils.module_loading import import_string  # noqa: PLC0415

    for kinds in events._subscribers.values():
        for kind in kinds:
            assert callable(import_string(kind.split(">")[1])), kind

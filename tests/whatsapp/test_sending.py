"""Outbound: queued with the fact, sent outside any transaction, and never twice without cause."""

from typing import ClassVar

import pytest
from django.db import IntegrityError, connection, transaction

from khaacho import jobs, sql
from khaacho.models import Job
from tests.whatsapp.meta import envelope, post, report
from whatsapp import services
from whatsapp.backends import Console, NotTaken, Undeliverable
from whatsapp.enums import MessageKind
from whatsapp.models import WhatsAppMessage
from whatsapp.services import Button, Words

pytestmark = pytest.mark.django_db(transaction=True)

ANNA = "+9779800000001"


class Provider:
    """A provider at the network's edge: does what `script` says next, and remembers what it took."""

    leaves_machine = True
    script: ClassVar[list[Exception]] = []
    taken: ClassVar[list[str]] = []

    def send(self, message: WhatsAppMessage) -> str:
        assert not connection.in_atomic_block
        assert WhatsAppMessage.objects.get(pk=message.pk).status == "sending"
        error = self.script.pop(0) if self.script else None
        if not isinstance(error, NotTaken | Undeliverable):
            self.taken.append(message.body)
        if error is not None:
            raise error
        return f"provider.{len(self.taken)}"


@pytest.fixture
def provider(settings) -> type[Provider]:
    settings.WHATSAPP_BACKEND = f"{__name__}.Provider"
    settings.JOB_BACKOFF_SECONDS = 0
    Provider.script, Provider.taken = [], []
    return Provider


def queue(key: str = "test:1", kind: MessageKind = MessageKind.GENERIC, **fields) -> int | None:
    with transaction.atomic():
        return services.queue_message(
            conversation_id=services.open_conversation(ANNA),
            key=key,
            words=Words(body="hello", kind=kind, **fields),
        )


def message() -> WhatsAppMessage:
    return WhatsAppMessage.objects.get()


def test_a_message_and_its_job_stand_or_fall_with_the_fact():
    queue()
    assert (message().status, message().to_number, message().is_processed) == (
        "queued",
        ANNA,
        False,
    )
    job = Job.objects.get()
    assert (job.kind, job.queue, job.reference) == (
        "whatsapp.send",
        "whatsapp",
        f"message:{message().pk}",
    )
    with transaction.atomic():
        services.queue_message(
            conversation_id=message().conversation_id, key="test:2", words=Words(body="no")
        )
        transaction.set_rollback(True)
    assert WhatsAppMessage.objects.count() == Job.objects.count() == 1


def test_outside_a_transaction_nothing_is_queued():
    conversation = services.open_conversation(ANNA)
    with pytest.raises(transaction.TransactionManagementError):
        services.queue_message(conversation_id=conversation, key="k", words=Words(body="hello"))


def test_a_key_is_queued_once():
    assert queue() is not None
    assert queue() is None
    assert Job.objects.count() == 1


def test_the_console_accepts_and_nothing_leaves_the_machine():
    queue(buttons=(Button("confirm", "Confirm"),))
    jobs.run_due()
    sent = message()
    assert (sent.status, sent.provider_message_id) == ("accepted", f"console.{sent.pk}")
    assert (sent.is_processed, sent.sends, sent.message_type) == (True, 1, "interactive")
    assert sent.sent_at is not None
    assert not Console.leaves_machine


def test_a_provider_is_called_outside_transactions_after_sending_was_committed(provider):
    queue()
    jobs.run_due()
    assert (message().status, message().provider_message_id) == ("accepted", "provider.1")


def test_what_was_not_taken_is_offered_again(provider):
    provider.script = [NotTaken("throttled"), NotTaken("throttled")]
    queue()
    jobs.run_due()
    assert (message().status, message().sends, message().error) == ("accepted", 3, "")
    assert provider.taken == ["hello"]


def test_after_the_last_try_it_has_failed(provider):
    provider.script = [NotTaken("busy")] * 3
    queue()
    jobs.run_due()
    assert (message().status, message().error, message().is_processed) == ("failed", "busy", True)
    assert provider.taken == []


def test_what_is_undeliverable_is_not_tried_again(provider):
    provider.script = [Undeliverable("131026 no WhatsApp there")]
    queue()
    jobs.run_due()
    assert (message().status, message().sends) == ("failed", 1)
    assert Job.objects.get().state == "done"


def test_a_crash_after_the_providers_answer_leaves_unknown_and_does_not_send_again(provider):
    provider.script = [OSError("the worker died here")]
    queue(kind=MessageKind.PAYMENT_REMINDER)
    jobs.run_due()
    assert (message().status, message().sends, message().is_processed) == ("unknown", 1, False)
    assert provider.taken == ["hello"]
    age_unknown()
    services.recover_sending(limit=10)
    jobs.run_due()
    assert (message().status, provider.taken) == ("unknown", ["hello"])


def test_an_order_confirmation_of_unknown_fate_is_sent_at_most_once_more(provider):
    provider.script = [OSError("died"), OSError("died again")]
    queue(kind=MessageKind.ORDER_CONFIRMATION)
    jobs.run_due()
    services.recover_sending(limit=10)
    assert message().status == "unknown"  # ten minutes for a report
    for _ in range(3):
        age_unknown()
        services.recover_sending(limit=10)
        jobs.run_due()
    assert provider.taken == ["hello", "hello"]
    assert (message().status, message().sends) == ("unknown", 2)


def test_a_report_with_our_key_settles_what_was_unknown(provider):
    provider.script = [OSError("died")]
    queue(kind=MessageKind.ORDER_CONFIRMATION)
    jobs.run_due()
    told = report("provider.9", "delivered", biz_opaque_callback_data="test:1")
    assert post(envelope(statuses=[told])).status_code == 200
    jobs.run_due()
    age_unknown()
    assert services.recover_sending(limit=10) == 0
    assert (message().status, message().provider_message_id) == ("delivered", "provider.9")
    assert provider.taken == ["hello"]


def test_a_worker_killed_while_sending_to_the_console_sends_again():
    queue()
    sql.execute("UPDATE whatsapp_messages SET status = 'sending', sends = 1")
    jobs.run_due()
    assert (message().status, message().sends) == ("accepted", 2)


def test_a_report_that_overtakes_our_commit_stays(provider):
    message_id = queue()
    sql.execute("UPDATE whatsapp_messages SET status = 'read'")
    services.hand_over(message_id, is_last_try=False)
    assert message().status == "read"
    assert provider.taken == []


def test_recover_queues_what_lost_its_job_and_leaves_dead_jobs_alone(set_age):
    queue("test:1")
    queue("test:2")
    Job.objects.order_by("pk").first().delete()
    Job.objects.update(state="dead")
    assert services.recover_sending(limit=10) == 0
    set_age("whatsapp_messages", minutes=2)
    assert services.recover_sending(limit=10) == 1
    assert services.recover_sending(limit=10) == 0
    jobs.run_due()
    assert sorted(WhatsAppMessage.objects.values_list("key", "status")) == [
        ("test:1", "accepted"),
        ("test:2", "queued"),
    ]


def test_a_message_stuck_in_sending_without_a_job_becomes_unknown(provider, set_age):
    queue()
    Job.objects.all().delete()
    sql.execute("UPDATE whatsapp_messages SET status = 'sending', sends = 1")
    set_age("whatsapp_messages", minutes=11)
    services.recover_sending(limit=10)
    assert message().status == "unknown"


def test_bodies_are_cut_to_what_the_provider_takes_and_long_ones_have_no_buttons():
    with transaction.atomic():
        services.queue_message(
            conversation_id=services.open_conversation(ANNA),
            key="long",
            words=Words(body="x" * 5000, buttons=(Button("a", "A"),)),
        )
    assert (len(message().body), message().payload, message().message_type) == (
        4096,
        {"buttons": []},
        "text",
    )


@pytest.mark.parametrize(
    "change",
    [
        "status = 'received'",
        "key = NULL",
        "conversation_id = NULL",
        "direction = 'IN'",
        "status = 'nonsense'",
    ],
)
def test_the_database_refuses_a_message_of_no_shape(change):
    queue()
    with pytest.raises(IntegrityError):
        sql.execute(f"UPDATE whatsapp_messages SET {change}")


def age_unknown() -> None:
    sql.execute("UPDATE whatsapp_messages SET processed_at = processed_at - interval '11 minutes'")

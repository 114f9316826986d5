"""From stored bodies to messages: every one, each once, whatever its shape."""

import json

import pytest
from django.db import transaction
from django.db.models import F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from khaacho import jobs
from khaacho.models import Job
from tests.whatsapp.meta import envelope, message, post, report, text
from whatsapp import payloads, services
from whatsapp.enums import LADDER, highest
from whatsapp.models import WhatsAppConversation, WhatsAppMessage, WhatsAppWebhook

pytestmark = pytest.mark.django_db

ANNA = "+9779800000001"


def read(body: bytes) -> None:
    """Store a body and do the reading job, but not the answers."""
    assert services.store_webhook(body, provider="meta")
    job = Job.objects.filter(kind="whatsapp.read").latest("pk")
    assert jobs.run(job.pk), Job.objects.get(pk=job.pk).last_error


def answers() -> int:
    return Job.objects.filter(kind="whatsapp.answer").count()


def test_a_message_is_stored_as_it_came():
    came = text(ANNA, "RICE-1KG x 10", wamid="wamid.A", at=1_700_000_000)
    read(envelope(came))
    stored = WhatsAppMessage.objects.get()
    assert stored.provider_message_id == "wamid.A"
    assert (stored.direction, stored.status, stored.is_processed) == ("IN", "received", False)
    assert (stored.from_number, stored.to_number) == (ANNA, "+97715550100")
    assert (stored.message_type, stored.body, stored.payload) == ("text", "RICE-1KG x 10", came)
    assert stored.sent_at.timestamp() == 1_700_000_000
    assert stored.conversation.phone == ANNA
    assert answers() == 1
    webhook = WhatsAppWebhook.objects.get()
    assert webhook.processed_at is not None
    assert webhook.messages_found == 1


def test_each_wamid_once_whatever_the_order_and_repetition():
    one, two, three = (text(ANNA, str(n), wamid=f"wamid.{n}") for n in (1, 2, 3))
    read(envelope(two, two, one))
    read(envelope(three, one, two, one))
    read(envelope(one))
    assert WhatsAppMessage.objects.count() == 3
    assert answers() == 3


def test_a_thousand_messages_of_many_people_in_a_handful_of_statements(
    django_assert_max_num_queries,
):
    messages = [text(f"+97798{n % 100:08d}", f"line {n}", wamid=f"wamid.{n}") for n in range(1000)]
    assert post(envelope(*messages)).status_code == 200
    webhook = WhatsAppWebhook.objects.get()
    with django_assert_max_num_queries(12):
        assert services.read_webhook(webhook.pk) == 1000
    assert WhatsAppMessage.objects.count() == answers() == 1000
    assert WhatsAppConversation.objects.count() == 100
    assert services.read_webhook(webhook.pk) == 0


def test_several_entries_and_changes_are_all_taken():
    first, second = json.loads(envelope(text(ANNA, "1"))), json.loads(envelope(text(ANNA, "2")))
    first["entry"][0]["changes"] += second["entry"][0]["changes"]
    first["entry"] += json.loads(envelope(text(ANNA, "3"), text(ANNA, "4")))["entry"]
    read(json.dumps(first).encode())
    assert sorted(WhatsAppMessage.objects.values_list("body", flat=True)) == ["1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("kind", "content", "status", "body"),
    [
        ("text", {"body": "hi"}, "received", "hi"),
        ("button", {"text": "Yes", "payload": "confirm"}, "received", "Yes"),
        ("interactive", {"type": "button_reply", "button_reply": {"id": "confirm", "title": "Yes"}}, "received", "Yes"),
        ("interactive", {"type": "list_reply", "list_reply": {"id": "a", "title": "A"}}, "received", "A"),
        ("order", {"product_items": [{"product_retailer_id": "RICE-1KG", "quantity": 2}]}, "received", "RICE-1KG x 2"),
        ("image", {"id": "1"}, "received", ""),
        ("interactive", {"type": "nfm_reply", "nfm_reply": {}}, "ignored", ""),
        ("reaction", {"emoji": "👍"}, "ignored", ""),
        ("system", {"body": "changed number"}, "ignored", ""),
        ("unsupported", {}, "ignored", ""),
        ("telepathy of a length nobody foresaw", {}, "ignored", ""),
        ("text", "not an object", "ignored", ""),
        ("text", {"body": 12.5}, "ignored", ""),
        ("", {}, "ignored", ""),
    ],
)  # fmt: skip
def test_known_shapes_get_a_job_and_unknown_ones_are_kept(kind, content, status, body):
    read(envelope(message(ANNA, kind, content)))
    stored = WhatsAppMessage.objects.get()
    assert (stored.status, stored.body) == (status, body)
    assert stored.is_processed is (status == "ignored")
    assert answers() == (status == "received")


def test_a_sender_without_a_phone_is_known_by_the_providers_id():
    hidden = text(ANNA, "hi") | {"from_user_id": "NP.123"}
    del hidden["from"]
    shown = text(ANNA, "hello") | {"from_user_id": "NP.123"}
    read(envelope(hidden))
    read(envelope(shown))
    assert WhatsAppConversation.objects.count() == 1
    assert WhatsAppConversation.objects.get().provider_user_id == "NP.123"
    assert WhatsAppMessage.objects.filter(conversation__isnull=False).count() == 2


@pytest.mark.parametrize("sender", ["", "abc", "0", "1" * 40, None, 5, {"a": 1}, "+0123456789"])
def test_a_message_from_nobody_is_kept_without_a_conversation(sender):
    read(envelope(text(ANNA, "hi") | {"from": sender}))
    stored = WhatsAppMessage.objects.get()
    assert (stored.status, stored.conversation_id, stored.from_number) == ("ignored", None, "")


def test_characters_that_postgresql_refuses_are_replaced():
    body = envelope(text(ANNA, "a\x00b\ud800c", wamid="wamid.A") | {"\x00": "\x00"})
    read(body)
    assert WhatsAppMessage.objects.get().body == "a\ufffdb\ufffdc"


def test_reports_raise_the_status_to_the_highest_seen():
    ours = make_outbound("wamid.out", "accepted")
    read(envelope(statuses=[report("wamid.out", "read"), report("wamid.out", "sent")]))
    ours.refresh_from_db()
    assert ours.status == "read"
    read(envelope(statuses=[report("wamid.out", "delivered", recipient_id="x")]))
    ours.refresh_from_db()
    assert ours.status == "read"
    assert [r["status"] for r in ours.payload["reports"]] == ["read", "sent", "delivered"]


def test_a_failure_report_keeps_its_reason_and_an_unknown_word_changes_nothing():
    ours = make_outbound("wamid.out", "accepted")
    failed = report("wamid.out", "failed", errors=[{"code": 131026, "title": "Undeliverable"}])
    read(envelope(statuses=[failed, report("wamid.out", "teleported")]))
    ours.refresh_from_db()
    assert (ours.status, ours.error) == ("failed", "131026 Undeliverable")
    assert [r["status"] for r in ours.payload["reports"]] == ["failed", "teleported"]


def test_a_report_finds_by_our_key_what_a_crash_left_unknown():
    ours = make_outbound(None, "unknown")
    read(envelope(statuses=[report("wamid.new", "sent", biz_opaque_callback_data=ours.key)]))
    ours.refresh_from_db()
    assert (ours.status, ours.provider_message_id, ours.is_processed) == ("sent", "wamid.new", True)


def test_a_report_never_touches_an_inbound_message_nor_steals_an_id():
    read(envelope(text(ANNA, "hi", wamid="wamid.in")))
    ours = make_outbound(None, "unknown")
    read(envelope(statuses=[report("wamid.in", "read", biz_opaque_callback_data=ours.key)]))
    ours.refresh_from_db()
    assert ours.provider_message_id is None
    assert WhatsAppMessage.objects.get(provider_message_id="wamid.in").status == "received"


def test_reports_on_strangers_messages_are_passed_over():
    read(
        envelope(statuses=[report("wamid.none", "read"), {}, "x", {"id": "a"}, {"status": "read"}])
    )
    assert not WhatsAppMessage.objects.exists()


@given(st.lists(st.sampled_from([s.value for s in LADDER])))
def test_the_order_of_reports_does_not_matter(statuses):
    def shown(reports: list[str]) -> str:
        status = "queued"
        for reported in reports:
            status = highest(status, reported)
        return status

    assert shown(statuses) == shown(sorted(statuses)) == shown(statuses[::-1] + statuses)


def make_outbound(wamid: str | None, status: str) -> WhatsAppMessage:
    conversation = services.open_conversation(ANNA)
    return WhatsAppMessage.objects.create(
        conversation_id=conversation,
        direction="OUT",
        key=f"test:{wamid}",
        provider_message_id=wamid,
        to_number=ANNA,
        status=status,
    )


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=10,
)  # fmt: skip


def mostly(usual: st.SearchStrategy) -> st.SearchStrategy:
    return st.one_of(usual, usual, usual, anything)


def shaped(fields: dict[str, st.SearchStrategy]) -> st.SearchStrategy:
    return mostly(st.fixed_dictionaries({}, optional={k: mostly(v) for k, v in fields.items()}))


words = st.text(st.characters(), max_size=20)
ids = st.sampled_from(["wamid.1", "wamid.2", "wamid.3"]) | words
some_message = shaped({
    "id": ids, "from": st.sampled_from(["9779800000001", "9779800000002"]) | words,
    "from_user_id": words, "timestamp": st.integers().map(str), "type": st.sampled_from(["text", "button", "interactive", "order"]),
    "text": shaped({"body": words}), "button": shaped({"payload": words, "text": words}),
    "interactive": shaped({"button_reply": shaped({"id": words, "title": words})}),
    "order": shaped({"product_items": st.lists(shaped({"product_retailer_id": words, "quantity": st.integers()}), max_size=3)}),
})  # fmt: skip
some_status = shaped({
    "id": ids, "status": st.sampled_from(["sent", "read", "failed"]) | words, "timestamp": words,
    "errors": st.lists(anything, max_size=2), "biz_opaque_callback_data": st.sampled_from(["test:x"]) | ids,
})  # fmt: skip
some_value = shaped({
    "metadata": shaped({"display_phone_number": words}),
    "messages": st.lists(some_message, max_size=4), "statuses": st.lists(some_status, max_size=4),
})  # fmt: skip
some_body = shaped(
    {"entry": st.lists(shaped({"changes": st.lists(shaped({"value": some_value}), max_size=2)}), max_size=2)}
)  # fmt: skip


@settings(
    max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)  # fmt: skip
@given(some_body)
def test_no_json_whatever_stops_the_reader(value):
    body = json.dumps(value).encode("utf-8", "surrogatepass")
    try:
        parsed = payloads.parse(body)
    except ValueError:
        return
    payloads.read(parsed)
    with transaction.atomic():
        make_outbound(None, "unknown")
        WhatsAppMessage.objects.update(key=F("key"))
        read(body)
        transaction.set_rollback(True)


def test_recover_gives_a_job_to_what_has_none_and_leaves_dead_jobs_alone(set_age):
    services.store_webhook(envelope(text(ANNA, "hi", wamid="wamid.1")), provider="meta")
    services.store_webhook(envelope(text(ANNA, "ho", wamid="wamid.2")), provider="meta")
    Job.objects.first().delete()
    Job.objects.update(state="dead")
    assert services.recover_receiving(limit=10) == 0  # a minute's grace
    set_age("whatsapp_webhooks", minutes=2)
    assert services.recover_receiving(limit=10) == 1
    assert services.recover_receiving(limit=10) == 0
    assert jobs.run_due(limit=1) == 1
    Job.objects.filter(kind="whatsapp.answer").delete()
    set_age("whatsapp_messages", minutes=2)
    assert services.recover_receiving(limit=10) == 1
    assert services.recover_receiving(limit=10) == 0
    assert list(WhatsAppMessage.objects.values_list("body", flat=True)) == ["hi"]

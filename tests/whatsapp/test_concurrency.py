"""Threads on one conversation: many answers at once, one effect."""

import threading
from collections.abc import Callable, Iterable

import pytest
from django.db import connection

from khaacho import jobs
from khaacho.models import Job
from orders.models import Order
from tests.factories import make_offer, make_product
from tests.whatsapp.meta import envelope, make_shop, post, text
from whatsapp.models import WhatsAppMessage, WhatsAppWebhook

pytestmark = pytest.mark.django_db(transaction=True)


def together(*acts: Callable[[], object]) -> list[object]:
    """Do all at once, each on a connection of its own; return their results."""
    barrier = threading.Barrier(len(acts))
    results: list[object] = [None] * len(acts)

    def act(place: int) -> None:
        try:
            barrier.wait()
            results[place] = acts[place]()
        finally:
            connection.close()

    threads = [threading.Thread(target=act, args=[place]) for place in range(len(acts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def running(ids: Iterable[int]) -> list[Callable[[], bool]]:
    return [lambda pk=pk: jobs.run(pk) for pk in ids]


def waiting(kind: str) -> list[int]:
    found = Job.objects.filter(kind=kind, state="queued").order_by("pk")
    return list(found.values_list("pk", flat=True))


def test_confirmations_at_once_make_one_order():
    make_offer(product=make_product(sku="RICE-1KG"))
    _, phone = make_shop()
    phone.say("RICE-1KG x 10")
    post(envelope(*(text(phone.number, "CONFIRM") for _ in range(4))))
    jobs.run(waiting("whatsapp.read")[0])
    assert together(*running(waiting("whatsapp.answer"))) == [True] * 4
    assert Order.objects.count() == 1
    jobs.run_due()
    said = phone.read()
    assert said.count("is placed") == 1
    assert said.count("no order waiting") == 3


def test_messages_answered_at_once_are_answered_in_the_senders_order():
    make_offer(product=make_product(sku="RICE-1KG"))
    make_offer(product=make_product(sku="OIL-1L"), price=10)
    _, phone = make_shop()
    jobs.run_due()
    post(
        envelope(
            text(phone.number, "RICE-1KG x 10"), text(phone.number, "RICE-1KG x 2"), text(phone.number, "ok")
        )
    )  # fmt: skip
    jobs.run(waiting("whatsapp.read")[0])
    assert together(*running(reversed(waiting("whatsapp.answer")))) == [True] * 3
    assert Order.objects.get().items.get().quantity == 2


def test_the_same_body_delivered_at_once_is_stored_once():
    body = envelope(text("+9779800000001", "hi"))
    answers = together(*[lambda: post(body).status_code] * 4)
    assert answers == [200] * 4
    assert WhatsAppWebhook.objects.count() == 1
    assert len(waiting("whatsapp.read")) == 1


def test_overlapping_bodies_read_at_once_store_each_message_once():
    messages = [text(f"+97798000000{n:02d}", "hi", wamid=f"wamid.{n}") for n in range(20)]
    for part in (messages, messages[5:], messages[:15]):
        post(envelope(*part))
    assert together(*running(waiting("whatsapp.read"))) == [True] * 3
    assert WhatsAppMessage.objects.count() == 20
    assert len(waiting("whatsapp.answer")) == 20

"""manage.py whatsapp_say, through a real server and a worker beside it."""

import threading
from collections.abc import Iterator
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from khaacho import jobs
from orders.models import Order
from tests.factories import make_offer, make_product
from tests.processes import free_port
from tests.whatsapp.meta import make_shop

pytestmark = pytest.mark.django_db(transaction=True)


def say(*arguments: str) -> str:
    out = StringIO()
    call_command("whatsapp_say", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def worker() -> Iterator[None]:
    stop = threading.Event()

    def work() -> None:
        try:
            while not stop.wait(0.02):
                jobs.run_due()
        finally:
            connection.close()

    thread = threading.Thread(target=work)
    thread.start()
    yield
    stop.set()
    thread.join()


def test_a_whole_order_over_http(live_server, worker):
    make_offer(product=make_product(sku="RICE-1KG"))
    _, phone = make_shop()
    to = ("--from", phone.number, "--base-url", live_server.url)
    assert "Reply CONFIRM or CANCEL." in say(*to, "RICE-1KG x 10")
    assert "is placed" in say(*to, "--button", "confirm", "--wamid", "wamid.yes")
    assert "is placed" in say(*to, "--button", "confirm", "--wamid", "wamid.yes")
    assert Order.objects.count() == 1


def test_exit_codes(live_server, settings):
    _, phone = make_shop()

    def code(*arguments: str) -> int:
        with pytest.raises(CommandError) as caught:
            say(*arguments, "hello")
        return caught.value.returncode

    assert code("--from", "nobody") == 2
    nowhere = f"http://127.0.0.1:{free_port()}"
    assert code("--from", phone.number, "--base-url", nowhere) == 1
    at_site = ("--from", phone.number, "--base-url", live_server.url)
    assert code(*at_site, "--timeout", "0.2") == 3
    assert code("--from", phone.number, "--base-url", f"{live_server.url}/nowhere") == 1
    settings.WHATSAPP_APP_SECRETS = []
    assert code(*at_site) == 2

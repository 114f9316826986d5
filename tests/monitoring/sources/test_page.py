"""The page of requests and tasks: its figures are those that the processes published."""

import pytest
from django.urls import reverse

from monitoring.sources import publishing
from monitoring.sources.places import Place
from tests.monitoring.pages.conftest import groups, keeper, member  # noqa: F401 - fixtures
from tests.monitoring.sessions import chain

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])


def test_shows_routes_and_tasks(seen, keeper):  # noqa: F811 - the fixture
    seen.forget()
    for _ in range(3):
        seen.end(("route", "orders", "GET"), "2xx", 0.8, 4, 0.2)
    seen.end(("route", "orders", "GET"), "5xx", 0.8, 4, 0.2)
    seen.end(("job", "orders.route", ""), "failed", 0.03, 9, 0.01)
    assert publishing.publish()
    text = " ".join(keeper.get(reverse("database-routes")).content.decode().split())
    row = text[text.index("GET <code>orders</code>") :].split("</tr>")[0]
    assert '<td class="number">4</td>' in row
    assert '>1 <span class="badge bad">errors</span>' in row
    assert 'badge warn">slow' in row
    assert "4.0" in row
    task = text[text.index("<code>orders.route</code>") :].split("</tr>")[0]
    assert '<td class="number">1</td>' in task
    assert "9.0" in task


def test_who_waits_and_who_blocks_is_traced_to_the_page_that_sends_it(seen, keeper):  # noqa: F811 - the fixture
    seen.forget()
    text = "UPDATE chain_of_locks SET n = %s WHERE id = %s"
    seen.place(
        seen.note(text, ("route", "stock", "PATCH"), 0.01, False),
        Place("vendors/services/stock.py", 12, "change"),
    )
    assert publishing.publish()
    with chain("root", "waiter") as links:
        shown = " ".join(keeper.get(reverse("database-connections")).content.decode().split())
    for link in links:
        node = shown[shown.index(f"<strong>{link.pid}</strong>") :]
        sent_by = node[node.index("Usually sent by") :][:200]
        assert "route <code>PATCH stock</code>" in sent_by
        assert "vendors/services/stock.py:12" in sent_by
        assert "/admin/database/statements/" in sent_by + node[:900]


def test_says_that_nothing_was_counted(keeper):  # noqa: F811 - the fixture
    text = keeper.get(reverse("database-routes")).content.decode()
    assert text.count("Nothing was counted in this range.") == 2

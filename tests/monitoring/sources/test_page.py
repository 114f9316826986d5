"""The page of requests and tasks: its figures are those that the processes published."""

import pytest
from django.urls import reverse

from monitoring.sources import publishing
from tests.monitoring.pages.conftest import groups, keeper, member  # noqa: F401 - fixtures

pytestmark = [
    pytest.mark.django_db(transaction=True, databases=["default", "monitor"]),
    pytest.mark.usefixtures("_monitor_closed"),
]


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


def test_says_that_nothing_was_counted(keeper):  # noqa: F811
    text = keeper.get(reverse("database-routes")).content.decode()
    assert text.count("Nothing was counted in this range.") == 2

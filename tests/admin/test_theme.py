"""The frame of the admin: policy, languages, side bar, ribbon, and what the index says."""

import ast
import gettext
import gzip
import itertools
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection, transaction
from django.template.response import TemplateResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import translation

from khaacho import jobs, sql
from khaacho.adminsite import pages, side_bar
from khaacho.adminsite.pages import Group, Page, Section
from khaacho.middleware import PAGE_POLICY
from khaacho.models import Job, User
from monitoring import dashboard_page
from orders.models import Order
from tests.admin.conftest import signed_in
from tests.admin.desk import list_of, page_of
from tests.admin.trade import make_paid_order, make_refusal, trade
from tests.api.trade import Caller, backdate
from tests.factories import make_offer, make_order, make_retailer

pytestmark = pytest.mark.django_db
CATALOGUES = Path(settings.BASE_DIR) / "khaacho" / "locale"
POLICY = "Content-Security-Policy"


# Policy and weight


def test_every_page_has_the_policy_and_api_answers_do_not_pay_for_it(admin: Client):
    for address in ("/admin/", list_of(Order), "/admin/queues/", "/nowhere/"):
        assert admin.get(address).headers[POLICY] == PAGE_POLICY, address
    assert Client().get("/admin/login/").headers[POLICY] == PAGE_POLICY
    assert PAGE_POLICY.startswith("default-src 'self'; frame-ancestors 'none'; base-uri 'none';")
    assert "unsafe" not in PAGE_POLICY
    answer = Caller(make_retailer().user).get("orders/")
    assert answer.status_code == 200
    assert POLICY not in answer.headers
    assert "Content-Language" not in answer.headers


def test_the_apis_documentation_has_a_policy_of_its_own_and_no_script_within():
    page = Client().get("/api/v1/docs/")
    assert "script-src" not in page.headers[POLICY]
    assert "default-src 'self'; style-src 'self' 'unsafe-inline';" in page.headers[POLICY]
    assert "<script>" not in page.content.decode()
    script = Client().get("/api/v1/docs/?script=")
    assert script.headers["Content-Type"].startswith("application/javascript")
    assert "SwaggerUIBundle" in script.content.decode()


def test_no_page_holds_a_style_or_a_handler(admin: Client):
    trade(0)
    for address in ("/admin/", list_of(Order), page_of(Order.objects.first()), "/admin/queues/"):
        html = admin.get(address).content.decode()
        assert " style=" not in html, address
        assert "<style" not in html, address
        assert "onclick=" not in html, address


def test_pages_are_squeezed_and_files_are_not(admin: Client):
    page = admin.get(list_of(Order), headers={"accept-encoding": "gzip"})
    assert page.headers["Content-Encoding"] == "gzip"
    assert b"result" in gzip.decompress(page.content)
    live = admin.get("/livez", headers={"accept-encoding": "gzip"})
    assert "Content-Encoding" not in live.headers


# Languages


def test_pages_speak_nepali_and_the_api_stays_as_it_is(admin: Client):
    admin.cookies[settings.LANGUAGE_COOKIE_NAME] = "ne"
    page = admin.get("/admin/")
    assert '<html lang="ne"' in page.content.decode()
    assert "उधारो डेस्क" in page.content.decode()
    assert translation.get_language() == "en"
    refused = Client().get("/api/v1/orders/", headers={"accept-language": "ne"})
    assert refused.status_code == 401
    assert refused.content.isascii()


def test_the_language_is_changed_by_a_post_alone_and_leads_nowhere_else(admin: Client):
    address = reverse("set_language")
    assert "नेपाली" in admin.get("/admin/").content.decode()
    answer = admin.get(f"{address}?language=ne&next=/admin/")
    assert settings.LANGUAGE_COOKIE_NAME not in answer.cookies
    answer = admin.post(address, {"language": "ne", "next": "/admin/queues/"})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/admin/queues/")
    assert answer.cookies[settings.LANGUAGE_COOKIE_NAME].value == "ne"
    answer = admin.post(address, {"language": "ne", "next": "https://evil.example/"})
    assert answer.headers["Location"] == "/"


def spoken(path: Path) -> dict[str, str]:
    """Return a catalogue's texts as written: the form that gettext keeps, plurals by number."""
    found: dict[str, str] = {}
    entry: dict[str, str] = {}
    part = ""
    for line in [*path.read_text().splitlines(), 'msgid ""']:
        word, _, rest = line.partition(" ")
        if word == "msgid":
            found |= _said(entry)
            entry = {}
        if word.startswith("msg"):
            part, entry[word] = word, ast.literal_eval(rest)
        elif line.startswith('"'):
            entry[part] += ast.literal_eval(line)
    return found


def _said(entry: dict[str, str]) -> dict[str, str]:
    if not entry.get("msgid"):
        return {}
    if "msgid_plural" not in entry:
        return {entry["msgid"]: entry["msgstr"]}
    return {f"{entry['msgid']} [{n}]": entry[f"msgstr[{n}]"] for n in (0, 1)}


def compiled(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        catalogue = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
    return {
        f"{key[0]} [{key[1]}]" if isinstance(key, tuple) else key: text
        for key, text in catalogue.items()
        if key
    }


@pytest.mark.parametrize(
    "path", sorted(CATALOGUES.rglob("*.po")), ids=lambda path: str(path.relative_to(CATALOGUES))
)
def test_a_catalogue_is_whole_and_compiled(path: Path):
    written = spoken(path)
    assert len(written) > 80
    assert [text for text, said in written.items() if not said] == []
    assert compiled(path.with_suffix(".mo")) == written


def test_every_text_of_the_side_bar_is_in_nepali():
    labels = [*pages.GROUP_LABELS.values(), *(label for _, label in side_bar.PLACES.values())]
    written = spoken(CATALOGUES / "ne" / "LC_MESSAGES" / "django.po")
    with translation.override("en"):
        assert [str(label) for label in labels if str(label) not in written] == []


# Side bar


def shelves(response: TemplateResponse) -> dict[str, list[str]]:
    return {
        shelf.name: [str(entry.label) for entry in shelf.entries]
        for shelf in response.wsgi_request._shelves
    }


def test_the_side_bar_shows_what_one_may_open(admin: Client, member):
    everything = shelves(admin.get(list_of(User)))
    assert everything["desk"] == [
        "Credit desk",
        "Limit changes",
        "Collection tasks",
        "Disputes",
        "Alerts",
    ]
    assert everything["work"][0] == "Queue board"
    assert "other" not in everything
    catalogue = shelves(signed_in(member("Catalogue")).get("/admin/"))
    assert catalogue == {
        "shops": ["Retailers"],
        "catalogue": ["Vendors", "Products", "Offers"],
    }
    assert "Queue board" in shelves(signed_in(member("Database")).get("/admin/"))["work"]


def test_the_entry_of_the_page_is_marked(admin: Client):
    order = make_paid_order()
    for address in (list_of(Order), page_of(order)):
        html = admin.get(address).content.decode()
        assert f'<a href="{list_of(Order)}" aria-current="page">Orders</a>' in html
        assert html.count('aria-current="page"') == 1


def test_a_page_that_is_no_models_stands_where_it_is_registered(admin: Client, member, monkeypatch):
    monkeypatch.setattr(pages, "_pages", {})
    pages.register(
        Page(
            name="admin:password_change",
            label="Slow queries",
            group=Group.DATABASE,
            permissions=("monitoring.view_report", "khaacho.view_alert"),
        )
    )
    assert shelves(admin.get("/admin/"))["database"][0] == "Slow queries"
    assert "database" in shelves(signed_in(member("Support")).get("/admin/"))
    assert "database" not in shelves(signed_in(member("Catalogue")).get("/admin/"))


def test_what_waits_is_counted_in_one_statement(admin: Client):
    for _ in range(2):
        make_refusal()
    with transaction.atomic():
        jobs.enqueue("orders.mark_overdue", reference="order:1")
    Job.objects.update(state="dead", finished_at="2026-11-24T10:00Z", lease_until=None)
    with CaptureQueriesContext(connection) as captured:
        counts = side_bar.waiting()
    assert len(captured) == 1
    dead = Job.objects.filter(state="dead").count()
    assert counts == {
        "khaacho.alert": 0,
        "orders.orderrefusal": 2,
        "credit.limitchange": 0,
        "payments.collectiontask": 0,
        "queue-board": dead,
    }
    html = admin.get("/admin/queues/").content.decode()
    assert '<span class="badge warn">2<span class="visually-hidden"> waiting</span></span>' in html
    assert f'<span class="badge bad">{dead}<' in html


def test_a_heap_is_counted_to_its_bound(admin: Client):
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO jobs (queue, kind, args, reference, state, finished_at)"
            " SELECT 'reports', 'x', '{}', '', 'dead', now() FROM generate_series(1, 1500)"
        )
    assert side_bar.waiting()["queue-board"] == 1000
    assert '<span class="badge bad">999+<' in admin.get("/admin/queues/").content.decode()


@pytest.mark.django_db(transaction=True)
def test_what_waits_is_kept_for_a_minute_and_shown_by_permission(admin: Client, member):
    make_refusal()
    assert side_bar.waiting()["orders.orderrefusal"] == 1
    make_refusal()
    with CaptureQueriesContext(connection) as captured:
        assert side_bar.waiting()["orders.orderrefusal"] == 1
    assert len(captured) == 0
    html = signed_in(member("Catalogue")).get("/admin/").content.decode()
    assert "badge" not in html


def test_the_ribbon_names_the_environment(admin: Client, settings):
    assert "ribbon" not in admin.get("/admin/").content.decode()
    settings.ENVIRONMENT_NAME = "staging <b>"
    assert '<span class="ribbon">staging &lt;b&gt;</span>' in admin.get("/admin/").content.decode()
    assert "ribbon" in Client().get("/admin/login/").content.decode()


# Index


def test_the_index_says_the_days_trade_beside_last_weeks(admin: Client):
    shop, offer = make_retailer(credit_limit=10_000_000), make_offer(price=112_350)
    for days_ago in (0, 0, 7, 7, 7, 1, 30):
        backdate(make_order(shop, offer), "created_at", days_ago)
    days = dashboard_page.trend()
    assert len(days) == 14
    assert [day.orders for day in days if day.orders] == [3, 1, 2]
    assert days[-1].value == Decimal(224_700)
    assert days[-8].orders == 3
    assert [b.day - a.day for a, b in itertools.pairwise(days)] == [timedelta(1)] * 13
    with CaptureQueriesContext(connection) as captured:
        front = dashboard_page.front()
    assert len(captured) == 4
    figures = {figure.name: figure for figure in front.figures}
    assert figures["Orders today"].text == "2"
    assert figures["Value today"].text == "NPR 2,24,700.00"
    assert figures["Collected today"].text == "NPR 0.00"
    assert admin.get(figures["Orders today"].url).context["cl"].result_count == 2
    for figure in front.figures:
        assert admin.get(figure.url).status_code == 200, figure.name
    html = admin.get("/admin/").content.decode()
    assert "NPR 2,24,700.00" in html
    assert '<td class="number">3,37,050</td>' in html
    assert "Orders by the day. Orders: 2 at the end, 3 at most, 0 at least" in html


@pytest.mark.parametrize(
    ("now", "then", "said"),
    [
        (12, 10, ("+20 % on last week until now", "good")),
        (5, 10, ("−50 % on last week until now", "warn")),
        (10, 10, ("±0 % on last week until now", "quiet")),
        (Decimal("250.00"), Decimal("100.00"), ("+150 % on last week until now", "good")),
        (3, 0, ("none until now last week", "quiet")),
    ],
)
def test_a_change_is_said_in_words(now, then, said):
    assert dashboard_page.change(now, then) == said


def test_the_indexs_trade_is_for_those_who_may_see_all_of_it(admin: Client, member):
    assert 'class="front"' in admin.get("/admin/").content.decode()
    for group in ("Owner", "Operations", "Credit", "Support"):
        html = signed_in(member(group)).get("/admin/").content.decode()
        assert 'class="front"' in html, group
    for group in ("Catalogue", "Database"):
        html = signed_in(member(group)).get("/admin/").content.decode()
        assert "Orders today" not in html, group
    assert 'class="front"' not in admin.get("/admin/orders/").content.decode()


@pytest.mark.django_db(transaction=True)
def test_the_index_opens_though_a_figure_cannot_be_computed(admin: Client, monkeypatch):
    monkeypatch.setattr(pages, "_sections", dict(pages._sections))
    pages.add_section(
        Section(
            name="broken",
            template="monitoring/front.html",
            permissions=("orders.view_order",),
            look=lambda: sql.fetch("SELECT 1 / 0"),
        )
    )
    page = admin.get("/admin/")
    assert page.status_code == 200
    assert "These figures cannot be shown at the moment." in page.content.decode()
    assert "Orders today" in page.content.decode()

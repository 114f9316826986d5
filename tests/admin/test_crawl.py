"""Every page of the admin in a real browser, under its own policy: no error, no stranger, no barrier, not too heavy."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import axe_playwright_python
import pytest
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group
from django.contrib.staticfiles import finders
from django.db import transaction
from django.db.models.functions import Length
from django.urls import reverse
from playwright.sync_api import ConsoleMessage, Page, expect

from credit.models import Retailer
from khaacho.adminsite import pages
from khaacho.models import Job, User
from monitoring.pages.urls import PAGES
from monitoring.view_models import IndexUsage
from orders.models import FiscalYear, Order
from tests.admin.browser import chromium, keep
from tests.admin.desk import list_of, page_of
from tests.admin.test_browser import officer, sign_in  # noqa: F401 - a fixture
from tests.admin.trade import trade
from tests.factories import make_offer, make_order, make_retailer

pytestmark = [
    pytest.mark.processes,
    pytest.mark.long,
    pytest.mark.patient,
    pytest.mark.django_db(transaction=True, databases=["default", "monitor"]),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
WIDE, NARROW = 1280, 390
ROWS = 30  # of each table, looked at by axe
RECORDS = 50  # on a full page of a list
PARTS = 4  # of the crawl, which several processes may share
LIST_BYTES, INDEX_BYTES = 200_000, 60_000  # of a cold page, on the wire
OWN_BYTES = 12_000  # of our sheet and script together, squeezed


@pytest.fixture
def days_of_trade(officer: User) -> Iterator[Callable[[int], None]]:  # noqa: F811
    """Return what fills every list with so many rows; fiscal years, which are kept, are put back."""
    before = set(FiscalYear.objects.values_list("pk", flat=True))

    def make(count: int) -> None:
        with transaction.atomic():
            for number in range(count):
                trade(number)
            schedules()

    yield make
    FiscalYear.objects.exclude(pk__in=before).delete()


def schedules() -> None:
    """Make a row of each of django-celery-beat's models."""
    beat = apps.get_app_config("django_celery_beat")
    interval = beat.get_model("IntervalSchedule").objects.create(every=5, period="minutes")
    beat.get_model("CrontabSchedule").objects.create()
    beat.get_model("SolarSchedule").objects.create(event="sunset", latitude=27.7, longitude=85.3)
    beat.get_model("ClockedSchedule").objects.create(clocked_time="2026-11-24T10:00Z")
    beat.get_model("PeriodicTask").objects.create(
        name="sweep", task="khaacho.tasks.sweep", interval=interval
    )


def addresses() -> Iterator[str]:
    """Yield every page that staff can reach: lists, one record of each, forms of new ones, and the rest.

    But for those about the database, which tests/monitoring/pages/test_browser.py visits with a day of samples.
    """
    for name in ("index", "password_change", "password_change_done"):
        yield reverse(f"admin:{name}")
    elsewhere = {page.url_name for page in PAGES}
    yield from (reverse(page.name) for page in pages.registered() if page.name not in elsewhere)
    yield reverse("admin:app_list", args=["orders"])
    for model, shown in admin.site._registry.items():
        yield list_of(model)
        record = model.objects.order_by("-pk").first()
        assert record is not None or not model._meta.managed, model
        if record is not None:
            yield page_of(record)
        if type(shown).has_add_permission is not _never_added:
            yield f"{list_of(model)}add/"
        for verb in getattr(shown, "list_verbs", ()):
            yield f"{list_of(model)}verb/{verb.name}/"
    yield page_of(Order.objects.first()).replace("/change/", "/history/")


_never_added = type(admin.site.get_model_admin(Job)).has_add_permission


def faults_of(page: Page) -> list[str]:
    """Collect what the browser complains of, with the page on which it does."""
    faults: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            faults.append(f"{page.url}: {message.text} {message.location['url']}")

    page.on("console", hear)
    page.on("pageerror", lambda error: faults.append(f"{page.url}: {error}"))
    page.on(
        "requestfailed",
        lambda request: (
            None  # the page was left before it had everything
            if request.failure == "net::ERR_ABORTED"
            else faults.append(f"{page.url}: {request.url}: {request.failure}")
        ),
    )
    return faults


def barriers(page: Page, *, side: bool = True) -> list[str]:
    """Return axe's violations; its source is evaluated, so that the page's policy stays as it is.

    Without `preload`, which would put the sheets that it reads into the page: the policy stops that. The side
    bar, which is most of a page and the same on each, may be left out where others have looked at it; so are a
    table's rows after the first thirty, which are like them and cost seconds.
    """
    page.wait_for_timeout(50)  # jQuery calls those who wait for it after the page is loaded
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    found = page.evaluate(
        "async (context) => (await axe.run(context, {preload: false, resultTypes: ['violations']})).violations",
        {"exclude": [[f"tbody > tr:nth-child(n+{ROWS + 1})"], *([] if side else [["#side"]])]},
    )
    return [
        f"{page.url}: {each['id']}: {node['html'][:160]} {node.get('failureSummary', '')[:200]}"
        for each in found
        for node in each["nodes"][:2]
    ]


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than its window."""
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")


@pytest.mark.parametrize("part", range(PARTS))
def test_every_page_is_quiet_and_open_to_all(part, live_server, officer: User, days_of_trade):  # noqa: F811 - the fixture
    days_of_trade(1)
    found = list(dict.fromkeys(addresses()))
    assert len(found) > 90
    troubles: list[str] = []
    with chromium(live_server.url) as page:
        faults = faults_of(page)
        sign_in(page, live_server.url, officer)
        for number, address in enumerate(found[part::PARTS]):
            page.set_viewport_size({"width": WIDE, "height": 900})
            answer = page.goto(f"{live_server.url}{address}")
            assert answer is not None
            assert answer.status == 200, address
            assert "script-src" not in answer.headers["content-security-policy"], address
            assert answer.headers["content-security-policy"].startswith("default-src 'self';")
            troubles += barriers(page, side=not number)
            for width in (WIDE, NARROW):
                page.set_viewport_size({"width": width, "height": 900})
                if over := overflow(page):
                    troubles.append(f"{address}: {over} px too wide at {width}")
    assert not troubles, "\n".join(troubles)
    assert not faults, "\n".join(faults)


def kinds() -> Iterator[tuple[str, str]]:
    yield "index", reverse("admin:index")
    yield "list", list_of(Order)
    yield "page", page_of(Retailer.objects.order_by("-outstanding_debt").first())
    yield "order", page_of(Order.objects.order_by("pk").first())
    yield "board", reverse("queue-board")
    yield "verb", f"{list_of(User)}verb/add_staff/"
    yield "beat", list_of(apps.get_model("django_celery_beat.PeriodicTask"))
    yield "group", page_of(Group.objects.first())
    longest = IndexUsage.objects.order_by(Length("index").desc()).first()  # of one word
    yield "index-usage", page_of(longest)


def test_both_schemes_wide_and_narrow(live_server, officer: User, days_of_trade):  # noqa: F811
    days_of_trade(3)
    troubles: list[str] = []
    with chromium(live_server.url) as page:
        faults = faults_of(page)
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.goto(f"{live_server.url}/admin/login/")
            page.wait_for_load_state("networkidle")
            for width in (WIDE, NARROW):
                page.set_viewport_size({"width": width, "height": 900})
                keep(page, f"theme-sign-in-{width}-{scheme}")
            troubles += barriers(page)
        sign_in(page, live_server.url, officer)
        for name, address in kinds():
            page.goto(f"{live_server.url}{address}")
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                for width in (WIDE, NARROW):
                    page.set_viewport_size({"width": width, "height": 900})
                    page.wait_for_timeout(250)  # colours change in 150 ms
                    keep(page, f"theme-{name}-{width}-{scheme}")
                    if over := overflow(page):
                        troubles.append(f"{address}: {over} px too wide at {width}")
                troubles += barriers(page, side=name == "index")
        page.get_by_role("button", name="Menu").click()
        expect(page.get_by_role("navigation", name="Sections")).to_be_visible()
        keep(page, "theme-menu-390-dark")
        troubles += barriers(page)
    assert not troubles, "\n".join(troubles)
    assert not faults, "\n".join(faults)


def test_a_periodic_task_says_its_crontab_in_words(live_server, officer: User):  # noqa: F811
    schedules()
    with chromium(live_server.url) as page:
        faults = faults_of(page)
        sign_in(page, live_server.url, officer)
        page.goto(f"{live_server.url}{reverse('admin:django_celery_beat_periodictask_add')}")
        page.locator("#id_crontab").select_option(index=1)
        expect(page.locator(".field-crontab .help").last).to_contain_text("Every minute")
        expect(page.locator(".field-crontab_translation")).to_be_hidden()
        assert not faults, "\n".join(faults)


def squeezed(path: str) -> int:
    """Return a static file's bytes as WhiteNoise sends it: collectstatic keeps the smaller of plain and gzip."""
    found = finders.find(path.removeprefix("/static/"))
    assert isinstance(found, str), path
    body = Path(found).read_bytes()
    return min(len(body), len(gzip.compress(body, 9)))


def weigh(page: Page, address: str) -> tuple[int, int]:
    """Return the bytes of a page's HTML, and of all that it loads into an empty cache, on the wire."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    paths: dict[str, str] = {}
    sizes: dict[str, int] = {}
    session.on(
        "Network.responseReceived",
        lambda event: paths.update({event["requestId"]: urlsplit(event["response"]["url"]).path}),
    )
    session.on(
        "Network.loadingFinished",
        lambda event: sizes.update({event["requestId"]: int(event["encodedDataLength"])}),
    )
    page.goto(address)
    page.wait_for_load_state("networkidle")
    session.detach()
    own = {paths[each]: size for each, size in sizes.items()}
    html = own[urlsplit(address).path]
    rest = sum(squeezed(p) if p.startswith("/static/") else size for p, size in own.items())
    return html, rest


def test_pages_are_light(live_server, officer: User, days_of_trade):  # noqa: F811
    days_of_trade(1)
    for _ in range(RECORDS):  # each with a user and its jobs
        make_order(make_retailer(), make_offer())
    heavy: dict[str, tuple[int, int]] = {}
    with chromium(live_server.url) as page:
        sign_in(page, live_server.url, officer)
        for model in (Order, Retailer, Job, User):
            heavy[model.__name__] = weigh(page, f"{live_server.url}{list_of(model)}")
            expect(page.locator("#result_list tbody tr")).to_have_count(RECORDS)
        index = weigh(page, f"{live_server.url}/admin/")
    print({"index": index, **heavy})
    assert max(whole for _, whole in heavy.values()) <= LIST_BYTES
    assert index[1] <= INDEX_BYTES
    assert squeezed("/static/khaacho/admin.css") + squeezed("/static/khaacho/admin.js") <= OWN_BYTES


def test_speaks_nepali_when_asked_and_keeps_it(live_server, officer: User):  # noqa: F811
    with chromium(live_server.url) as page:
        faults = faults_of(page)
        sign_in(page, live_server.url, officer)
        page.goto(f"{live_server.url}/admin/orders/order/?status__exact=PENDING")
        page.get_by_role("button", name="नेपाली").click()
        expect(page.locator("html")).to_have_attribute("lang", "ne")
        assert page.url.endswith("/admin/orders/order/?status__exact=PENDING")
        expect(page.locator("#side")).to_contain_text("अर्डर")
        page.goto(f"{live_server.url}/admin/")
        expect(page.locator("#side")).to_contain_text("अर्डर")
        keep(page, "theme-nepali")
        page.get_by_role("button", name="English").click()
        expect(page.locator("#side")).to_contain_text("Orders")
        assert not faults, "\n".join(faults)

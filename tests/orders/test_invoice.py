"""The invoice of a delivered order: its figures, its sheet of paper, and who may have it."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from django.contrib.auth.models import Group
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from khaacho import permissions
from khaacho.actors import SYSTEM
from khaacho.enums import Role
from khaacho.exceptions import NotFound
from khaacho.lettering import one_line, syllables
from khaacho.models import User
from khaacho.sheet import FONTS, PAGES, Sheet
from orders import invoice, invoice_sheet
from orders import services as orders
from orders.enums import PaymentTerms
from orders.invoice import InvoiceLine, InvoiceView, Party, amount_in_words
from orders.models import Order
from payments import services as payments
from payments.enums import PaymentMethod
from tests.api.clients import anonymous, assert_problem, signed_in
from tests.factories import (
    advance,
    make_offer,
    make_order,
    make_product,
    make_retailer,
    make_user,
    make_vendor,
)

D = Decimal


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        ("0", "Rupees Zero Only"),
        ("0.01", "Rupees Zero and Paisa One Only"),
        ("7.50", "Rupees Seven and Paisa Fifty Only"),
        ("19", "Rupees Nineteen Only"),
        ("20", "Rupees Twenty Only"),
        ("99.99", "Rupees Ninety-Nine and Paisa Ninety-Nine Only"),
        ("100", "Rupees One Hundred Only"),
        ("1005", "Rupees One Thousand Five Only"),
        ("99999", "Rupees Ninety-Nine Thousand Nine Hundred Ninety-Nine Only"),
        ("100000", "Rupees One Lakh Only"),
        (
            "412300.05",
            "Rupees Four Lakh Twelve Thousand Three Hundred and Paisa Five Only",
        ),
        ("10000000", "Rupees One Crore Only"),
        ("1000000000", "Rupees One Hundred Crore Only"),
        ("120000000000.00", "Rupees Twelve Thousand Crore Only"),
    ],
)
def test_amounts_in_words(amount, words):
    assert amount_in_words(D(amount)) == words


@pytest.mark.parametrize("amount", ["-1", "0.001"])
def test_no_words_for_what_cannot_be_paid(amount):
    with pytest.raises(ValueError, match="not an amount"):
        amount_in_words(D(amount))


def make_view(lines: int = 3, **changes) -> InvoiceView:
    row = InvoiceLine(1, "RICE-25", "Rice", "चामल", 2, D("10.00"), D("13.00"), D("20.00"))
    view = InvoiceView(
        invoice_number="VND-000123/2083/84/00042",
        order_number="ORD-2026-0000007",
        fiscal_year="2083/84",
        delivered_at=datetime(2026, 10, 5, 20, 0, tzinfo=UTC),
        due_date=date(2026, 11, 5),
        terms="Credit, 30 days",
        vendor=Party("Shree Krishna Traders", "श्री कृष्ण प्रतिष्ठान", "VND-000123", "600123456", "X"),
        shop=Party("Krishna Kirana", "कृष्ण किराना", "RTL-000045", "", "Surkhet"),
        lines=tuple(replace(row, number=number) for number in range(1, lines + 1)),
        subtotal=20 * D(lines),
        taxable=20 * D(lines),
        tax_amount=D("2.60") * lines,
        total=D("22.60") * lines,
        paid=D("5.00"),
        due=D("22.60") * lines - 5,
    )
    return replace(view, **changes)


def pages(pdf: bytes) -> int:
    return pdf.count(b"/Type /Page\n")


def drawn(view: InvoiceView, monkeypatch) -> list[tuple[int, str]]:
    """Return what is written on which page."""
    texts = []
    put = Sheet.put

    def note(sheet, x, y, width, text, *args):
        texts.append((sheet.page_no(), text))
        put(sheet, x, y, width, text, *args)

    monkeypatch.setattr(Sheet, "put", note)
    invoice_sheet.draw(view)
    return texts


def test_the_same_view_gives_the_same_bytes():
    assert invoice_sheet.draw(make_view()) == invoice_sheet.draw(make_view())


def test_the_document_says_what_it_is():
    pdf = invoice_sheet.draw(make_view())
    assert pdf.startswith(b"%PDF-")
    assert pages(pdf) == 1
    assert b"/Title (Tax invoice VND-000123/2083/84/00042)" in pdf
    assert b"/Author (Shree Krishna Traders)" in pdf
    assert b"/Subject (Order ORD-2026-0000007)" in pdf
    assert b"/CreationDate (D:20261005200000Z" in pdf
    assert b"/MediaBox [0 0 595.28 841.89]" in pdf


def test_both_scripts_are_embedded():
    pdf = invoice_sheet.draw(make_view())
    for font in ("NotoSans", "NotoSansBold", "NotoSansDevanagari", "NotoSansDevanagariBold"):
        assert f"+{font}\n".encode() in pdf
    assert b"Helvetica" not in pdf


def test_fonts_come_with_their_licence():
    sizes = {path.name: path.stat().st_size for path in FONTS.iterdir()}
    assert sum(sizes.values()) < 2_500_000
    assert "SIL OPEN FONT LICENSE" in (FONTS / "OFL.txt").read_text()


@pytest.fixture
def sheet() -> Iterator[Sheet]:
    made = Sheet(title="", author="", subject="", created_at=datetime.now(UTC), foot="")
    made.use(9)
    with closing(made):
        yield made


def test_devanagari_is_shaped_into_conjuncts(sheet):
    """`क्ष` is three characters and one glyph: narrower than its letters side by side."""
    assert sheet.wrap("क्ष", 60) == ["क्ष"]
    assert sheet._wide("क्ष") < sheet._wide("क") + sheet._wide("ष")
    assert sheet._wide("कृ") == pytest.approx(sheet._wide("क"))


def test_words_break_between_syllables():
    assert syllables("क्षत्रिय") == ["क्ष", "त्रि", "य"]
    assert syllables("प्रतिष्ठान") == ["प्र", "ति", "ष्ठा", "न"]


@pytest.mark.parametrize("text", ["W" * 200, "व" * 200, "क्षत्रिय" * 25, "a-b/" * 50, "rice " * 40])
def test_long_names_wrap_and_lose_nothing(sheet, text):
    lines = sheet.wrap(text, 55)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")
    assert len(lines) > 1
    assert max(map(sheet._wide, lines)) <= 55


def test_controls_and_turned_text_do_not_get_onto_paper():
    assert one_line(" a\nb\x1f\t\u202e12\u0000 क्\u200dष ") == "a b 12 क्\u200dष"


def test_two_hundred_lines_repeat_the_headings(monkeypatch):
    texts = drawn(make_view(200), monkeypatch)
    headed = [page for page, text in texts if text == "Unit price"]
    filled = {page for page, text in texts if text == "RICE-25"}
    assert headed == sorted(filled)
    assert len(headed) > 3
    assert sum(text == "RICE-25" for _, text in texts) == 200
    feet = [text for _, text in texts if text.startswith("Page ")]
    assert feet == [f"Page {n} of {PAGES}" for n in range(1, len(feet) + 1)]


def test_many_pages_of_the_longest_names():
    line = replace(make_view().lines[0], name="W" * 200, name_ne="व" * 200, sku="W" * 40)
    assert pages(invoice_sheet.draw(replace(make_view(), lines=(line,) * 60))) > 9


@pytest.mark.parametrize("name", ["😀 漢字", "{nb} **bold** \\ (x)", "-", "न‌क्"])
def test_odd_names_are_drawn(name):
    odd = Party(name, name, "VND-000001", "", "")
    assert pages(invoice_sheet.draw(make_view(vendor=odd))) == 1


def test_amounts_are_grouped_by_lakh(monkeypatch):
    texts = [text for _, text in drawn(make_view(total=D("412300.00")), monkeypatch)]
    assert "NPR 4,12,300.00" in texts
    assert "Rupees Four Lakh Twelve Thousand Three Hundred Only" in " ".join(texts)
    assert "Tax Invoice / कर बीजक" in texts
    assert {"2026-10-06", "2026-11-05", "2083/84", "Credit, 30 days"} <= set(texts)


@pytest.fixture
def order(db) -> Order:
    """An order of rice (taxed) and salt (not), delivered, with NPR 100 paid."""
    vendor, shop = make_vendor(), make_retailer()
    type(vendor).objects.filter(pk=vendor.pk).update(
        business_name="Shree  Traders",
        business_name_ne="श्री",
        pan_number="600123456",
        address="Ward 7",
    )
    rice = make_product(tax_rate=13, name="Rice", sku="RICE-25", name_ne="चामल")
    salt = make_product(name="Salt", sku="SALT-1")
    offers = [make_offer(vendor, rice, price="33.35"), make_offer(vendor, salt, price=20)]
    placed = advance(make_order(shop, *offers, quantity=3), "DELIVERED")
    payments.record_payment(
        retailer_id=shop.pk,
        vendor_id=vendor.pk,
        amount=D("100.00"),
        method=PaymentMethod.CASH,
        actor=SYSTEM,
    )
    placed.refresh_from_db()
    return placed


def test_figures(order):
    view = invoice.find(Order.objects.all(), order.pk)
    assert view.lines == (
        InvoiceLine(1, "RICE-25", "Rice", "चामल", 3, D("33.35"), D("13.00"), D("100.05")),
        InvoiceLine(2, "SALT-1", "Salt", "", 3, D("20.00"), D("0.00"), D("60.00")),
    )
    assert (view.subtotal, view.taxable, view.tax_amount) == (D("160.05"), D("100.05"), D("13.01"))
    assert (view.total, view.paid, view.due) == (D("173.06"), D("100.00"), D("73.06"))
    assert view.vendor == Party(
        "Shree Traders",
        "श्री",
        order.vendor.code,
        "600123456",
        "Ward 7, Birendranagar, Surkhet, Karnali",
    )
    assert view.shop.code == order.retailer.code
    assert view.invoice_number == order.invoice_number
    assert view.fiscal_year == order.invoice_number.split("/", 1)[1].rsplit("/", 1)[0]
    assert view.terms == "Credit, 30 days"
    assert (view.due_date - view.delivered_on).days == 30
    code, year = order.vendor.code, view.fiscal_year.replace("/", "-")
    assert view.file_name == f"invoice-{code}-{year}-00001.pdf"


def test_cash_is_cash(db):
    order = advance(make_order(make_retailer(), make_offer(), terms=PaymentTerms.CASH), "DELIVERED")
    view = invoice.find(Order.objects.all(), order.pk)
    assert view.terms == "Cash on delivery"
    assert view.due_date == view.delivered_on


def test_the_same_rows_give_the_same_bytes(order):
    assert invoice.render(order.pk) == invoice.render(order.pk)


def test_no_such_order(db):
    with pytest.raises(NotFound):
        invoice.render(1)


@pytest.mark.parametrize("lines", [1, 20])
def test_two_statements_whatever_the_lines(db, lines):
    vendor = make_vendor()
    offers = [make_offer(vendor) for _ in range(lines)]
    order = advance(make_order(make_retailer(), *offers), "DELIVERED")
    with CaptureQueriesContext(connection) as captured:
        invoice.render(order.pk)
    assert len(captured) == 2


@pytest.fixture(autouse=True)
def _static_root(settings, tmp_path) -> None:
    """WhiteNoise warns of a missing directory, and warnings are errors."""
    settings.STATIC_ROOT = tmp_path


def ask(user: User | None, order: Order) -> HttpResponse:
    client = signed_in(user) if user else anonymous()
    return client.get(f"/api/v1/orders/{order.pk}/invoice/", headers={"Accept": "application/pdf"})


def test_its_shop_its_vendor_and_staff_get_the_file(order):
    name = invoice.find(Order.objects.all(), order.pk).file_name
    for user in (order.retailer.user, order.vendor.user, make_user(Role.OPERATOR)):
        response = ask(user, order)
        assert response.status_code == 200
        assert response["Content-Type"] == "application/pdf"
        assert response["Content-Disposition"] == f'inline; filename="{name}"'
        assert response["Cache-Control"] == "private, no-store"
        assert response.content == invoice.render(order.pk)


def test_to_others_there_is_none(order):
    for stranger in (make_retailer().user, make_vendor().user):
        assert_problem(ask(stranger, order), 404, "not_found")
    assert ask(None, order).status_code == 401


@pytest.mark.parametrize("status", ["PENDING", "OUT_FOR_DELIVERY"])
def test_none_before_delivery(db, status):
    order = advance(make_order(make_retailer(), make_offer()), status)
    assert_problem(ask(order.retailer.user, order), 409, "not_invoiced")
    assert_problem(ask(make_retailer().user, order), 404, "not_found")


@pytest.fixture
def support(db) -> Client:
    """A desk of the group that may look at everything and change nothing."""
    permissions.sync_groups()
    user = make_user(Role.OPERATOR)
    user.groups.add(Group.objects.get(name="Support"))
    client = Client()
    client.force_login(user)
    return client


def test_staff_open_it_from_the_order_page(order, support):
    address = reverse("admin:orders_order_invoice", args=[order.pk])
    page = support.get(reverse("admin:orders_order_change", args=[order.pk]))
    assert f'<a href="{address}">Invoice (PDF)</a>' in page.content.decode()
    response = support.get(address)
    assert response["Content-Type"] == "application/pdf"
    assert response.content == invoice.render(order.pk)


def test_the_order_page_links_to_none_before_delivery(db, support):
    order = make_order(make_retailer(), make_offer())
    address = reverse("admin:orders_order_invoice", args=[order.pk])
    page = reverse("admin:orders_order_change", args=[order.pk])
    assert address not in support.get(page).content.decode()
    response = support.get(address, follow=True)
    assert response.redirect_chain == [(page, 302)]
    assert "gets one when it is delivered" in response.content.decode()
    assert support.get(reverse("admin:orders_order_invoice", args=[10**30])).status_code == 404


def test_the_admin_shows_it_to_nobody_without_the_right(order):
    client = Client()
    address = reverse("admin:orders_order_invoice", args=[order.pk])
    assert client.get(address).status_code == 302
    client.force_login(make_user(Role.OPERATOR))
    assert client.get(address).status_code == 403


def test_a_completed_order_keeps_its_invoice(order):
    before = invoice.render(order.pk)
    orders.complete_order(order_id=order.pk, actor=SYSTEM)
    assert invoice.render(order.pk) == before

"""Each form of a report, read back by another program: no live formulas, Nepali whole, exact figures."""

import io
import json
from datetime import datetime

import pytest
from django.utils import timezone
from openpyxl import load_workbook

from credit.models import Retailer
from khaacho import sql
from khaacho.actors import SYSTEM
from khaacho.listing_sheet import Line, Listing, draw
from khaacho.sheet_table import Column
from khaacho.spreadsheets import neutral, neutral_sql
from monitoring.reports.writers import pdf_file, xlsx_file
from payments import services as payments
from payments.enums import PaymentMethod
from tests.factories import advance, make_offer, make_order, make_retailer
from tests.monitoring.reports.making import D, ask, cells, csv_rows, made, pages, work

pytestmark = pytest.mark.django_db(transaction=True)

NEPALI = "कृष्ण क्षेत्री किराना"
DANGEROUS = [
    '=HYPERLINK("http://example.com","x")',
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "  =1+1",
    "＝1+1",
    "＋1",
    "－1",
    "＠x",
]
HARMLESS = ["Shop", "a=b", "1-2", "", "कृष्ण", "'=1"]


def name_shop(shop: Retailer, name: str, name_ne: str = "") -> Retailer:
    Retailer.objects.filter(pk=shop.pk).update(shop_name=name, shop_name_ne=name_ne)
    return shop


def owing(price: int = 412_300, name: str = "Krishna Kirana", name_ne: str = NEPALI) -> Retailer:
    shop = name_shop(make_retailer(credit_limit=900_000), name, name_ne)
    advance(make_order(shop, make_offer(price=price)), "DELIVERED")
    return shop


@pytest.mark.parametrize("text", [*DANGEROUS, *HARMLESS])
def test_sql_and_python_neutralise_alike(text):
    row = sql.fetch_one(f"SELECT {neutral_sql('%s::text')}", [text])
    assert row == (neutral(text),)
    assert neutral(text) == (f"'{text}" if text in DANGEROUS else text)


@pytest.mark.parametrize("name", DANGEROUS)
def test_no_cell_of_a_csv_is_a_formula(name):
    name_shop(make_retailer(), name)
    (row,) = csv_rows(made("CREDIT_SUMMARY", "csv"))
    assert row["retailer_name"] == f"'{name}"


def test_csv_has_a_mark_headings_and_exact_figures():
    shop = owing()
    data = made("OUTSTANDING_LIABILITY", "csv")
    assert data.startswith(b"\xef\xbb\xbfretailer_code,")
    (row,) = csv_rows(data)
    assert row["retailer_code"] == shop.code
    assert row["retailer_name_ne"] == NEPALI
    assert (row["not_due"], row["unapplied_credit"], row["balance"]) == (
        "412300.00",
        "0.00",
        "412300.00",
    )


def test_negative_amounts_stay_numbers():
    order = advance(make_order(make_retailer(), make_offer(price=50)), "DELIVERED")
    payments.record_payment(
        retailer_id=order.retailer_id,
        vendor_id=order.vendor_id,
        amount=D("60.00"),
        method=PaymentMethod.CASH,
        actor=SYSTEM,
    )
    (row,) = csv_rows(made("OUTSTANDING_LIABILITY", "csv"))
    assert row["balance"] == "-10.00"
    assert cells(made("OUTSTANDING_LIABILITY", "xlsx"))[1][-1] == -10


def test_csv_and_json_say_the_same():
    owing()
    owing(price=5, name='Quoted "shop", with\nlines')
    for kind in ("CREDIT_SUMMARY", "OUTSTANDING_LIABILITY", "PURCHASE_VOLUME"):
        document = json.loads(made(kind, "json"))
        said = [{name: _as_csv(value) for name, value in row.items()} for row in document["rows"]]
        assert csv_rows(made(kind, "csv")) == said
        assert [column["name"] for column in document["columns"]] == list(said[0])


def _as_csv(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def test_json_says_what_it_is():
    shop = owing()
    document = json.loads(
        made("STATEMENT", "json", retailer_id=shop.pk, start="2026-01-01", end="2026-02-01")
    )
    assert document["kind"] == "STATEMENT"
    assert document["filters"] == {
        "retailer_id": shop.pk,
        "from": "2026-01-01",
        "to": "2026-02-01",
    }
    assert document["row_count"] == 2
    read_at = datetime.fromisoformat(document["generated_at"])
    assert abs((timezone.now() - read_at).total_seconds()) < 60


def test_xlsx_has_numbers_dates_and_text_that_is_never_a_formula():
    for name in DANGEROUS:
        name_shop(make_retailer(), name)
    shop = owing()
    data = made("CREDIT_SUMMARY", "xlsx")
    book = load_workbook(io.BytesIO(data))
    sheet = book["Report"]
    assert sheet.freeze_panes == "A2"
    head, *lines, total = cells(data)
    assert head[:4] == ("Retailer", "Shop", "Shop (Nepali)", "District")
    # Excel's own way to write a carriage return
    names = [line[1].replace("_x000D_", "\r") for line in lines]
    assert names == [*DANGEROUS, "Krishna Kirana"]
    types = {cell.data_type for row in sheet.iter_rows() for cell in row}
    assert "f" not in types
    last = lines[-1]
    assert (last[0], last[2], last[5]) == (shop.code, NEPALI, 412_300)
    assert total[5] == 412_300
    assert sheet.cell(14, 6).number_format == xlsx_file.NUMBER_FORMATS["npr"]
    assert sheet.column_dimensions["B"].width > 20
    about = dict(row for row in cells(data, "About"))
    assert about["Credit summary"] == "उधारो सारांश"
    assert about["By"] == "retailer"


def test_xlsx_dates_are_dates():
    shop = owing()
    _, opening, entry, *_ = cells(made("STATEMENT", "xlsx", retailer_id=shop.pk))
    assert entry[0].date() == timezone.localdate()
    assert opening[2] == "OPENING_BALANCE"
    assert entry[7] == 412_300


def test_pdf_groups_by_lakh_and_writes_nepali():
    owing()
    (text,) = pages(made("OUTSTANDING_LIABILITY", "pdf"))
    assert text.count("4,12,300.00") == 4  # not due and balance, of the row and in total
    assert "Krishna Kirana" in text
    assert "Outstanding liability" in text
    assert "Page 1 of 1" in text


def test_pdf_repeats_its_headings_on_every_page():
    for number in range(45):
        name_shop(make_retailer(credit_limit=0), f"Shop number {number}", NEPALI)
    texts = pages(made("CREDIT_SUMMARY", "pdf"))
    assert len(texts) > 1
    assert all("Outstanding" in text and "Retailer" in text for text in texts)
    assert all(f"Page {n} of {len(texts)}" in text for n, text in enumerate(texts, start=1))
    joined = "".join(texts)
    assert all(f"Shop number {number}" in joined for number in range(45))
    assert joined.count("Total") == 1


def test_a_pdf_of_too_many_rows_is_refused_and_says_what_to_ask_for(monkeypatch):
    monkeypatch.setattr(pdf_file, "MOST_ROWS", 2)
    for _ in range(3):
        make_retailer()
    report = work(ask("CREDIT_SUMMARY", "pdf"))
    assert (report.state, report.error) == (
        "failed",
        "More than 2 rows are too many for paper; ask for csv or xlsx.",
    )
    assert (report.size, report.expires_at) == (None, None)


def test_an_empty_report_is_made_in_every_form():
    for form in ("json", "csv", "xlsx", "pdf"):
        report = work(ask("PURCHASE_VOLUME", form))
        assert (report.state, report.row_count) == ("done", 0), report.error


def test_a_listing_gives_the_same_bytes_and_wraps_what_is_wide():
    listing = Listing(
        title="Statement",
        title_ne="खाता विवरण",
        foot="x",
        facts=[("Shop", NEPALI * 3)],
        columns=[Column("Name", 1), Column("Amount", 1)],
        created_at=datetime(2026, 1, 1, tzinfo=timezone.get_current_timezone()),
    )
    lines = [Line([NEPALI * 8, "1,00,000.00"], {0: "W" * 120}, is_bold=True)]
    assert draw(listing, lines) == draw(listing, lines)
    (text,) = pages(draw(listing, lines))
    assert text.count("W") == 120

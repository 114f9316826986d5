"""`manage.py import_catalogue`: per-row errors, dry run, nothing by halves, the same file twice."""

from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from khaacho.models import AuditLog
from vendors import catalogue
from vendors.models import Product

pytestmark = pytest.mark.django_db
GOOD = """sku,name,category,tax_rate,min_quantity,max_quantity,name_ne,aliases
RICE-1KG,Rice 1 kg,Rice,0,5,500,चामल १ केजी,chamal|chawal
TEA-500G,Tea  500 g ,Tea,,,,,
"""


def run(tmp_path, text, *args):
    path = tmp_path / "products.csv"
    path.write_text(text, encoding="utf-8")
    out, err = StringIO(), StringIO()
    try:
        call_command("import_catalogue", str(path), *args, stdout=out, stderr=err)
    except CommandError as error:
        return "error", str(error), err.getvalue()
    return "ok", out.getvalue().strip(), err.getvalue()


def test_loads_and_the_second_time_changes_nothing(tmp_path):
    assert run(tmp_path, GOOD)[:2] == ("ok", "2 created, 0 updated, 0 unchanged, 0 errors")
    tea = Product.objects.get(sku="TEA-500G")
    assert (tea.name, tea.tax_rate, tea.min_quantity, tea.max_quantity) == (
        "Tea 500 g",
        13,
        1,
        1000,
    )
    written = AuditLog.objects.count()
    assert run(tmp_path, GOOD)[1] == "0 created, 0 updated, 2 unchanged, 0 errors"
    assert AuditLog.objects.count() == written


def test_a_byte_order_mark_and_an_update(tmp_path):
    run(tmp_path, GOOD)
    changed = "\ufeff" + GOOD.replace(",0,5,500,", ",13,5,500,")
    assert run(tmp_path, changed)[1] == "0 created, 1 updated, 1 unchanged, 0 errors"
    assert Product.objects.get(sku="RICE-1KG").tax_rate == Decimal(13)


def test_dry_run_writes_nothing(tmp_path):
    assert run(tmp_path, GOOD, "--dry-run")[1].startswith("2 would be created")
    assert not Product.objects.exists()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (",Rice,Rice,0,1,1,,", "line 4: sku is missing"),
        ("A,,Rice,0,1,1,,", "line 4: name is missing"),
        ("A,Rice,,0,1,1,,", "line 4: category is missing"),
        ("A,Rice,Rice,lots,1,1,,", "line 4: tax_rate is not a number: lots"),
        ("A,Rice,Rice,101,1,1,,", "line 4: tax_rate is not between 0 and 100"),
        ("A,Rice,Rice,NaN,1,1,,", "line 4: tax_rate is not between 0 and 100"),
        ("A,Rice,Rice,0,0,1,,", "line 4: min_quantity is not a whole number from 1"),
        ("A,Rice,Rice,0,1.5,2,,", "line 4: min_quantity is not a whole number from 1"),
        ("A,Rice,Rice,0,5,4,,", "line 4: max_quantity is below min_quantity"),
        ("RICE-1KG,Rice,Rice,0,1,1,,", "line 4: sku RICE-1KG was on line 2 already"),
        ("A" * 41 + ",Rice,Rice,0,1,1,,", "line 4: sku is longer than 40 characters"),
    ],
)
def test_a_bad_line_is_named_and_nothing_is_written(tmp_path, line, message):
    status, _, errors = run(tmp_path, GOOD + line + "\n")
    assert status == "error"
    assert message in errors
    assert not Product.objects.exists()


def test_bad_lines_may_be_skipped(tmp_path):
    status, message, _ = run(tmp_path, GOOD + "A,,Rice,0,1,1,,\n", "--skip-errors")
    assert (status, message) == ("error", "1 lines had errors")
    assert Product.objects.count() == 2


def test_other_headers_and_templates(tmp_path):
    text = "id,type,size\n7,RICE,1 KG\n"
    columns = ["--column", "sku=id", "--column", "name={type} {size}", "--column", "category=type"]
    assert run(tmp_path, text, *columns)[0] == "ok"
    assert Product.objects.get(sku="7").name == "RICE 1 KG"
    status, message, _ = run(tmp_path, text)
    assert (status, message) == ("error", "there is no column sku; use --column sku=HEADER")


def test_not_text_is_a_clear_error(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"sku,name,category\n\xff\xfe,x,y\n")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_catalogue", str(path))
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("import_catalogue", str(tmp_path / "missing.csv"))


def test_the_reader_knows_the_models_limits():
    lengths = {name: Product._meta.get_field(name).max_length for name in catalogue.LIMITS}
    assert lengths == catalogue.LIMITS

"""Loading the demo trade: once, alone, and the same for the same seed."""

import argparse
import json
from pathlib import Path

import pytest
from django.db import transaction

from bench.trade import __main__ as command_line
from bench.trade import history, load
from credit.models import CreditAccount
from khaacho import sql
from tests.bench.conftest import quietly

pytestmark = pytest.mark.django_db


def fingerprint() -> list[tuple[object, ...]]:
    """What the trade of more than two days ago is, without ids."""
    return sql.fetch(
        "SELECT r.shop_name, v.business_name, o.created_at, o.total, o.payment_terms, o.delivered_at"
        " FROM orders o JOIN retailers r ON r.id = o.retailer_id JOIN vendors v ON v.id = o.vendor_id"
        " WHERE o.created_at < now() - interval '2 days' ORDER BY o.created_at, o.total"
    )


def test_logins_keep_what_others_wrote(options: history.Options, tmp_path: Path) -> None:
    path = tmp_path / "demo.json"
    path.write_text('{"site": "http://127.0.0.1:8000"}')

    load.load(options, path, quietly)

    assert json.loads(path.read_text())["site"] == "http://127.0.0.1:8000"


def test_same_seed_makes_the_same_trade(options: history.Options, tmp_path: Path) -> None:
    seen = []
    for _ in range(2):
        with transaction.atomic():
            load.load(options, tmp_path / "demo.json", quietly)
            seen.append(fingerprint())
            transaction.set_rollback(True)

    assert len(seen[0]) > 300
    assert seen[0] == seen[1]


def test_refuses_a_file_with_other_columns(options: history.Options, tmp_path: Path) -> None:
    (options.data / "products.csv").write_text("sku,price\nA,1\n")

    with pytest.raises(ValueError, match=r"products\.csv: the columns are"):
        load.load(options, tmp_path / "demo.json", quietly)


def test_dry_run_touches_nothing(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["load", "--dry-run", "--days", "10", "--data", str(data)]) == 0

    assert "4 vendors, 30 shops, 24 products and about 400 orders" in " ".join(
        capsys.readouterr().out.split()
    )
    assert not CreditAccount.objects.exists()


def test_refuses_senseless_numbers() -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        load._positive("0")

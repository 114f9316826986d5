"""A small catalogue with few people, and the trade that is made of it."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from django.test import override_settings
from pytest_django import DjangoDbBlocker

from bench.trade import history, load

CATEGORIES = ("Rice", "Oil", "Noodles")


def write_csv(folder: Path, kind: str, rows: list[dict[str, object]]) -> None:
    with (folder / f"{kind}s.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(history.COLUMNS[kind]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write_data(tmp_path)


def write_data(folder: Path) -> Path:
    place = {"municipality": "Birgunj", "district": "Parsa", "province": "Madhesh"}
    write_csv(
        folder,
        "product",
        [
            {
                "sku": f"SKU-{i}",
                "name": f'Good "{i}", large',
                "name_ne": "वस्तु",
                "aliases": "good|thing",
                "brand": "",
                "category": CATEGORIES[i % 3],
                "sub_category": "",
                "unit": "carton",
                "pack_size": "12 x 1",
                "price": f"{40 + 37 * i}.10",
                "tax_rate": "13.00" if i % 4 else "0.00",
                "min_quantity": 1 + i % 2,
                "max_quantity": 60,
            }
            for i in range(24)
        ],
    )
    write_csv(
        folder,
        "vendor",
        [
            {
                "business_name": f"Vendor {i}",
                "business_name_ne": "थोक",
                "owner_name": "Ram",
                **place,
                "specialities": "|".join(CATEGORIES[: 1 + i % 3]),
            }
            for i in range(4)
        ],
    )
    write_csv(
        folder,
        "retailer",
        [
            {
                "shop_name": f"Shop {i}",
                "shop_name_ne": "पसल",
                "owner_name": "Sita",
                **place,
                "size": ("small", "medium", "large")[i % 3],
            }
            for i in range(30)
        ],
    )
    return folder


@pytest.fixture
def options(data: Path) -> history.Options:
    return make_options(data)


def make_options(data: Path) -> history.Options:
    return history.Options(days=62, orders_per_day=12, data=data)


def quietly(step: str) -> None:
    """Take no notice of progress."""


@pytest.fixture(scope="module")
def trade(
    tmp_path_factory: pytest.TempPathFactory,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Path]:
    """The trade, loaded once for a module's tests, which only look; yields the path of its logins."""
    folder = tmp_path_factory.mktemp("trade")
    path = folder / "var" / "demo.json"
    with django_db_blocker.unblock(), transaction.atomic():
        assert load.load(make_options(write_data(folder)), path, quietly)
        yield path
        transaction.set_rollback(True)


@pytest.fixture
def reference() -> Iterator[None]:
    """Serve the reference beside the site, and keep the test's transaction from one request to the next."""
    request_ends = (request_started, request_finished)
    for signal in request_ends:
        signal.disconnect(close_old_connections)
    with override_settings(ROOT_URLCONF="bench.reference.urls"):
        yield
    for signal in request_ends:
        signal.connect(close_old_connections)

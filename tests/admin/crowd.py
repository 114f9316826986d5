"""Big tables: copies of one row, made in SQL, with only what must differ changed."""

from collections.abc import Mapping

from django.db import connection, models

from credit.models import CreditAccount, CreditLedger, Retailer
from khaacho.models import Alert, Job, User
from monitoring.models import IndexAdvice, Report
from orders.models import Order, OrderRefusal, VendorOrderAcceptance
from payments.models import (
    CollectionTask,
    InvoiceDispute,
    Payment,
    PaymentPromise,
    PaymentReminder,
    ReminderNotice,
)
from tests.admin.trade import trade
from tests.factories import make_offer, make_order, make_retailer
from vendors.models import Product, VendorProduct
from whatsapp.models import WhatsAppMessage

DEFAULT = "DEFAULT"  # the column's own
EVERY = {"created_at": "now() - n * interval '1 minute'"}
# In the order of their foreign keys: columns by model, `n` counting the copies.
COPIES: Mapping[type[models.Model], Mapping[str, str]] = {
    User: {"phone": "'+97711' || lpad(n::text, 8, '0')"},
    Job: {"dedupe_key": "NULL", "slot": "NULL", "state": "'done'"},
    Alert: {"entity_id": "n + 1000"},
    Product: {"sku": "'COPY-' || n"},
    VendorProduct: {"product_id": "(SELECT max(id) FROM products) - n + 1"},
    Retailer: {
        "user_id": "(SELECT max(id) FROM users) - n + 1",
        "code": DEFAULT,
        "credit_score": "300 + mod(n, 600)",
    },
    CreditAccount: {"retailer_id": "(SELECT max(id) FROM retailers) - n + 1"},
    CreditLedger: {
        "entry_number": DEFAULT,
        "sequence": "sequence + n",
        "key": "'copy:' || n || ':debit'",
        "reverses_id": "NULL",
    },
    Order: {"order_number": DEFAULT, "source_key": "NULL"},
    VendorOrderAcceptance: {"order_id": "(SELECT max(id) FROM orders) - n + 1"},
    OrderRefusal: {"order_id": "NULL"},
    Payment: {
        "payment_number": DEFAULT,
        "payment_status": "'PENDING'",
        "allocated_amount": "0",
        "ledger_entry_id": "NULL",
        "transaction_id": "NULL",
    },
    ReminderNotice: {"day": "day - n"},
    Report: {
        "kind": "'CREDIT_SUMMARY'",
        "retailer_id": "NULL",
        "filters": "jsonb_build_object('n', n)",
    },
    IndexAdvice: {"definition": "'(a, b) ' || n"},
    PaymentReminder: {"order_id": "(SELECT max(id) FROM orders) - n + 1"},
    PaymentPromise: {"order_id": "(SELECT max(id) FROM orders) - n + 1"},
    InvoiceDispute: {"order_id": "(SELECT max(id) FROM orders) - n + 1"},
    CollectionTask: {"promise_id": "(SELECT max(id) FROM payment_promises) - n + 1"},
    WhatsAppMessage: {"provider_message_id": "'wamid.copy' || n"},
}


def crowd(count: int) -> None:
    """Make so many copies of a row of each model, and its statistics."""
    trade(0)
    make_order(make_retailer(), make_offer())  # PLACED: an order that no entry belongs to
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for model, columns in COPIES.items():
            table = model._meta.db_table
            # what tests before left in the indexes would count as theirs
            cursor.execute(f"REINDEX TABLE {table}")
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            cursor.execute(_copies(model, columns), [count])
        cursor.execute(f"ANALYZE {', '.join(tables())}")


def tables() -> list[str]:
    return [model._meta.db_table for model in COPIES]


def _copies(model: type[models.Model], columns: Mapping[str, str]) -> str:
    names = [
        field.column
        for field in model._meta.concrete_fields
        if not (field.primary_key or field.generated or columns.get(field.column) == DEFAULT)
    ]
    values = [columns.get(name) or EVERY.get(name, f'"{name}"') for name in names]
    table = model._meta.db_table
    named = ", ".join(f'"{name}"' for name in names)
    return (
        f"INSERT INTO {table} ({named}) SELECT {', '.join(values)}"
        f" FROM (SELECT * FROM {table} ORDER BY id DESC LIMIT 1) AS one,"
        " generate_series(1, %s) AS n"
    )

"""A million open orders, all owed to one vendor: a small trade's delivered ones, copied unpaid."""

from django.db import transaction

from khaacho import sql
from orders.models import Order

OPEN_ORDERS = 1_000_000
KEPT = ("order_owing_idx", "order_vendor_status_idx", "order_created_idx")
FIRST_ID = 10**9
# What each copy has of its own. Due dates lie between 130 days ago and 30 ahead.
OWN = {
    "id": f"{FIRST_ID} + n",
    "order_number": "'OWED-' || n",
    "invoice_number": "'OWED-' || n",
    "ledger_entry_id": f"{FIRST_ID} + n",
    "vendor_id": "(SELECT min(id) FROM vendors)",
    "paid_amount": "0",
    "payment_status": "'PENDING'",
    "source_key": "NULL",
    "due_date": "current_date + 30 - mod(n, 160)::integer",
}


def fill(rows: int = OPEN_ORDERS) -> None:
    """Copy orders into this database, past foreign keys and triggers: a superuser's work.

    Indexes that no ageing uses are dropped first, for time's sake.
    """
    columns = [str(f.column) for f in Order._meta.concrete_fields if not f.generated]
    values = ", ".join(OWN.get(column, f"d.{column}") for column in columns)
    for (index,) in sql.fetch(
        "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE i.indrelid = 'orders'::regclass AND NOT i.indisunique AND c.relname <> ALL (%s)",
        [list(KEPT)],
    ):
        sql.execute(f'DROP INDEX "{index}"')
    with transaction.atomic():
        sql.execute("SET LOCAL session_replication_role = replica")
        sql.execute(
            f"INSERT INTO orders ({', '.join(columns)}) SELECT {values}"
            " FROM (SELECT *, row_number() OVER (ORDER BY id) AS i, count(*) OVER () AS many"
            " FROM orders WHERE due_date IS NOT NULL) d"
            " CROSS JOIN LATERAL (SELECT i + many * g AS n FROM generate_series(0, %s / many) g) c"
            " WHERE n <= %s",
            [rows, rows],
        )

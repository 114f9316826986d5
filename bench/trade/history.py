"""People, catalogue and history of the demo trade, as SQL over whole sets: see sql/*.sql.

Plans are made in temporary tables first; rows of the trade are written last, ledger entries one by
one through the ledger's own trigger. The same files, seed and moment make the same trade.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from django.contrib.auth.hashers import make_password
from django.db import connection

from bench.trade.logins import Passwords
from khaacho import sql

HERE = Path(__file__).parent
DATA = HERE / "data"
COLUMNS = {
    "vendor": {
        "business_name": "text",
        "business_name_ne": "text",
        "owner_name": "text",
        "municipality": "text",
        "district": "text",
        "province": "text",
        "specialities": "text",
    },
    "retailer": {
        "shop_name": "text",
        "shop_name_ne": "text",
        "owner_name": "text",
        "municipality": "text",
        "district": "text",
        "province": "text",
        "size": "text",
    },
    "product": {
        "sku": "text",
        "name": "text",
        "name_ne": "text",
        "aliases": "text",
        "brand": "text",
        "category": "text",
        "sub_category": "text",
        "unit": "text",
        "pack_size": "text",
        "price": "numeric(12,2)",
        "tax_rate": "numeric(4,2)",
        "min_quantity": "integer",
        "max_quantity": "integer",
    },
}
# Their triggers log, guard or audit what people do now; history brings its own log. They are off inside
# the loading transaction only, and never on credit_ledgers and credit_accounts.
UNTRIGGERED = (
    "orders",
    "order_items",
    "order_status_logs",
    "vendor_order_acceptances",
    "payments",
    "payment_allocations",
    "vendor_products",
    "retailers",
)


@dataclass(frozen=True)
class Options:
    """How much trade: days up to today, orders on a mean day, and the seed of its chances."""

    days: int = 60
    orders_per_day: int = 40
    seed: int = 7
    data: Path = DATA


def steps() -> list[Path]:
    """The files to run, in order."""
    return sorted((HERE / "sql").glob("*.sql"))


def import_csv(kind: str, path: Path) -> None:
    """Copy a CSV into the temporary table import_<kind>, numbered in the order of its lines."""
    columns = COLUMNS[kind]
    with path.open(newline="", encoding="utf-8") as file:
        header = next(csv.reader(file))
    if header != list(columns):
        raise ValueError(f"{path}: the columns are {header}, not {list(columns)}")
    definitions = ", ".join(f"{name} {kind_of} NOT NULL" for name, kind_of in columns.items())
    sql.execute(
        f"CREATE TEMP TABLE import_{kind} (n integer GENERATED ALWAYS AS IDENTITY, {definitions})"
        " ON COMMIT DROP"
    )
    names = ", ".join(columns)
    with connection.cursor() as cursor:
        statement = (
            f"COPY import_{kind} ({names}) FROM STDIN"
            f" (FORMAT csv, HEADER true, FORCE_NOT_NULL ({names}))"
        )
        with cursor.copy(statement) as copy:
            copy.write(path.read_bytes())
    sql.execute(f"ANALYZE import_{kind}")


def write(options: Options, passwords: Passwords, done: Callable[[str], None]) -> None:
    """Write people, catalogue and history in the caller's transaction; `done` hears of each step.

    Holds SHARE ROW EXCLUSIVE locks on the tables of orders and payments until the commit.
    """
    sql.fetch(
        "SELECT set_config('statement_timeout', '0', true), set_config('work_mem', '128MB', true),"
        " set_config('jit', 'off', true), set_config('khaacho.trade_seed', %s, true),"
        " set_config('idle_in_transaction_session_timeout', '0', true)",
        [str(options.seed)],
    )
    for kind in COLUMNS:
        import_csv(kind, options.data / f"{kind}s.csv")
    done("read the catalogue and people")
    _make_world(options, passwords)
    done("hash passwords")
    _switch_triggers("DISABLE")
    for step in steps():
        _run(step)
        done(step.stem[3:].replace("_", " "))
    sql.execute("SET CONSTRAINTS ALL IMMEDIATE")
    _switch_triggers("ENABLE")
    done("check constraints")


def _make_world(options: Options, passwords: Passwords) -> None:
    """Create plan_world: one row with what every step must know."""
    sql.execute(
        "CREATE TEMP TABLE plan_world ON COMMIT DROP AS SELECT now() AS loaded_at,"
        " (date_trunc('day', now() AT TIME ZONE 'Asia/Kathmandu') - (%(days)s - 1) * interval '1 day')"
        " AT TIME ZONE 'Asia/Kathmandu' AS opened_at, %(days)s AS days, %(orders)s AS orders_per_day,"
        " %(admin)s AS admin_password, %(operator)s AS operator_password,"
        " %(vendor)s AS vendor_password, %(retailer)s AS retailer_password, NULL::bigint AS operator_id",
        {
            "days": options.days,
            "orders": options.orders_per_day,
            **{kind: make_password(secret) for kind, secret in vars(passwords).items()},
        },
    )


def _run(step: Path) -> None:
    """Run a file's statements as they stand: a per cent sign is the operator."""
    with connection.cursor() as cursor:
        cursor.execute(step.read_text(encoding="utf-8"))


def _switch_triggers(how: str) -> None:
    for table in UNTRIGGERED:
        sql.execute(f"ALTER TABLE {table} {how} TRIGGER USER")

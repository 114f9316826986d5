"""A trade of N orders, for the planner and for measuring: set-based SQL into an empty, migrated database.

Steps are the files of sql/, in order. The same scale, seed and moment make the same trade; it holds every
invariant of `manage.py verify`, the ledger's hash chain included.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from threading import Barrier

from django.db import connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from bench.scale import bulk, demand, scores
from bench.trade import history
from khaacho import sql

HERE = Path(__file__).parent
TABLES = (
    "users",
    "vendors",
    "products",
    "vendor_products",
    "retailers",
    "credit_accounts",
    "credit_ledgers",
    "credit_scores",
    "orders",
    "order_items",
    "order_status_logs",
    "vendor_order_acceptances",
    "order_refusals",
    "invoice_counters",
    "payments",
    "payment_allocations",
    "payment_reminders",
    "whatsapp_conversations",
    "whatsapp_messages",
    "jobs",
    "idempotency_keys",
    "audit_logs",
    "alerts",
)
SESSIONS = 2
# Steps that the second session runs, by the step that makes the last of what they read.
ASIDE = {
    "demand": ("status_logs",),
    "lines": ("acceptances", "talk", "work"),
    "entries": ("orders", "payments"),
}
# What a lean trade goes without, and its own way of making what the later steps read.
LEFT_OUT = ("status_logs", "acceptances", "talk", "work")
LEAN = HERE / "sql" / "lean"
VACUUM = "VACUUM (ANALYZE, INDEX_CLEANUP ON)"
VACUUMS = 20
UNSEEN = (  # a part, where there are some: the table itself has no pages
    "SELECT oid::regclass::text FROM pg_class WHERE (oid = ANY(%(tables)s::regclass[]) OR oid IN"
    " (SELECT inhrelid FROM pg_inherits WHERE inhparent = ANY(%(tables)s::regclass[])))"
    " AND (reltuples < 0 OR relallvisible < pg_relation_size(oid) / current_setting('block_size')::bigint)"
    " ORDER BY relkind = 'p'"
)
# Ids and numbers are given; their sequences go on from there.
NUMBERS = {
    "order_number_seq": "orders",
    "payment_number_seq": "payments",
    "ledger_number_seq": "credit_ledgers",
    "vendor_code_seq": "vendors",
    "retailer_code_seq": "retailers",
}


class NotEmpty(Exception):
    """This database holds a trade already; a scale is loaded into an empty one."""


def _between(low: int, value: int, high: int) -> int:
    return max(low, min(value, high))


@dataclass(frozen=True)
class Scale:
    """How much trade. Sizes left at 0 follow from the orders.

    `owing` is the share of delivered orders that are not paid, `hot_account` the number of entries that one
    account has at least, `baskets` a file that the skew of demand is taken from instead of the facts kept here.
    A `lean` trade has orders, ledger and payments alone: no lines, logs, offers to vendors, messages or jobs, a
    quarter of the bytes. What is asked of an order's insides, `manage.py verify` too, has no answer there.
    """

    orders: int
    seed: int = 7
    products: int = 0
    retailers: int = 0
    vendors: int = 0
    owing: float = 0.08
    hot_account: int = 0
    baskets: Path | None = None
    lean: bool = False

    @property
    def sizes(self) -> dict[str, int]:
        """Rows of orders, products, retailers and vendors."""
        return {
            "orders": self.orders,
            "products": self.products or _between(1_000, self.orders // 10, 100_000),
            "retailers": self.retailers or _between(200, self.orders // 25, 50_000),
            "vendors": self.vendors or _between(40, self.orders // 200, 2_000),
        }


def steps(lean: bool = False) -> list[Path]:
    """The files to run, in order."""
    files = {path.name: path for path in (HERE / "sql").glob("*.sql")}
    if lean:
        files |= {path.name: path for path in LEAN.glob("*.sql")}
    return [files[name] for name in sorted(files) if not (lean and _step(files[name]) in LEFT_OUT)]


def _step(path: Path) -> str:
    return path.stem[3:]


def load(options: Scale, done: Callable[[str], None]) -> None:
    """Load the trade, by two sessions where work can be done side by side, then VACUUM (ANALYZE) its tables.

    `done` hears of each step. Plans are kept in a schema `scale`, dropped at the end. A load that fails
    leaves the database without its indexes: drop it and make it anew. Not for use inside a transaction.
    Raises NotEmpty, having changed nothing.
    """
    if sql.fetch("SELECT FROM users LIMIT 1") or sql.fetch("SELECT FROM orders LIMIT 1"):
        raise NotEmpty
    here = connections["default"]
    with ThreadPoolExecutor(SESSIONS, initializer=lambda: _settle(here.copy())) as sessions:
        try:
            rebuild = sessions.submit(_prepare, options).result()
            done("people and goods to draw from")
            _run_steps(sessions, {_step(path): path for path in steps(options.lean)}, done)
            _rebuild(sessions, rebuild, done)
            sessions.submit(_finish).result()
            _vacuum(sessions)
            done("vacuum and analyze")
        finally:
            _close(sessions)


def _run_steps(sessions: Executor, files: Mapping[str, Path], done: Callable[[str], None]) -> None:
    """Run the steps in order, and those of ASIDE beside them; the last waits for all."""
    aside = {name for names in ASIDE.values() for name in names}
    *main, last = [name for name in files if name not in aside]
    waiting: Queue[str | None] = Queue()
    beside = sessions.submit(_run_from, waiting, files, done)
    try:
        for name in main:
            sessions.submit(_run, files[name], done).result()
            for ready in ASIDE.get(name, ()):
                if ready in files:
                    waiting.put(ready)
    finally:
        waiting.put(None)
    beside.result()
    sessions.submit(_run, files[last], done).result()


def _run_from(
    waiting: "Queue[str | None]", files: Mapping[str, Path], done: Callable[[str], None]
) -> None:
    while name := waiting.get():
        _run(files[name], done)


def _rebuild(sessions: Executor, rebuild: bulk.Rebuild, done: Callable[[str], None]) -> None:
    list(sessions.map(sql.execute, rebuild.builds))
    done("indexes")
    sessions.submit(_execute_all, rebuild.attachments).result()
    list(sessions.map(_execute_all, rebuild.checks))
    sessions.submit(_execute_all, rebuild.triggers).result()
    done("foreign keys")


def _vacuum(sessions: Executor) -> None:
    """Vacuum and analyze each table once, then on until every page is known to be visible to all.

    Index-only scans need the latter. While anybody's older snapshot lives, autovacuum's included, pages of the
    load are not. A page with rows that died before the load is not either, until the indexes have been cleaned of
    them. A table whose pages autovacuum has made visible may have no statistics, or those of half a load.
    """
    tables = list(TABLES)
    for _ in range(VACUUMS):
        list(sessions.map(sql.execute, [f"{VACUUM} {table}" for table in tables]))
        tables = [table for (table,) in sql.fetch(UNSEEN, {"tables": list(TABLES)})]
        if not tables:
            return
        time.sleep(0.2)


def _settle(session: BaseDatabaseWrapper) -> None:
    """Make this thread's session one in the caller's database that has time and memory."""
    connections["default"] = session
    sql.fetch(
        "SELECT set_config(name, value, false) FROM (VALUES ('statement_timeout', '0'),"
        " ('lock_timeout', '0'), ('idle_in_transaction_session_timeout', '0'), ('jit', 'off'),"
        " ('work_mem', '256MB'), ('maintenance_work_mem', '512MB'), ('synchronous_commit', 'off'),"
        " ('search_path', current_schema() || ', scale')) AS setting (name, value)"
    )


def _close(sessions: Executor) -> None:
    """Close both sessions: each thread waits for the other, so that none closes twice."""
    both = Barrier(SESSIONS)

    def close() -> None:
        both.wait()
        connection.close()

    for future in [sessions.submit(close) for _ in range(SESSIONS)]:
        future.result()


def _prepare(options: Scale) -> bulk.Rebuild:
    """Make what the steps read: words to draw from, plan_world, functions of chance and demand."""
    with transaction.atomic():
        sql.execute("CREATE SCHEMA scale")
        for kind in history.COLUMNS:
            history.import_csv(kind, history.DATA / f"{kind}s.csv")
            sql.execute(f"CREATE UNLOGGED TABLE scale.import_{kind} AS TABLE import_{kind}")
        sql.execute(
            "CREATE UNLOGGED TABLE scale.plan_world AS"
            " SELECT now() AS loaded_at, now() - interval '730 days' AS opened_at, %(orders)s::bigint AS orders,"
            " %(products)s::integer AS products, %(retailers)s::integer AS retailers,"
            " %(vendors)s::integer AS vendors, (6 + %(orders)s / 100)::float8 AS under_way,"
            " %(owing)s::float8 AS owing, %(hot)s::bigint AS hot_entries",
            {**options.sizes, "owing": options.owing, "hot": options.hot_account},
        )
        scores.write(timezone.localdate())
        chance = (HERE / "chance.sql").read_text(encoding="utf-8")
        _execute(chance.replace("{seed}", str(int(options.seed))))
        curves = demand.derive(options.baskets) if options.baskets else demand.facts()
        for name, values in curves.items():
            _execute(_curve(name, values))
        return bulk.strip(TABLES)


def _finish() -> None:
    _set_sequences()
    sql.execute("DROP SCHEMA scale CASCADE")


def _curve(name: str, values: Sequence[float]) -> str:
    """Return a function that reads the curve at a share of 0 to below 1: ranks linearly between its points,
    sizes by steps. Inlined where its argument is a column."""
    points = f"'{{{','.join(map(str, values))}}}'::float8[]"
    at = f"(u * {demand.STEPS})"
    low = f"({points})[1 + floor{at}::integer]"
    high = f"({points})[2 + floor{at}::integer]"
    value = f"{low} + ({at} - floor{at}) * ({high} - {low})" if name in demand.RANKS else low
    return (
        f"CREATE OR REPLACE FUNCTION scale.{name}(u float8) RETURNS float8 LANGUAGE sql IMMUTABLE"
        f" PARALLEL SAFE AS $$ SELECT {value} $$"
    )


def _run(step: Path, done: Callable[[str], None]) -> None:
    _execute(step.read_text(encoding="utf-8"))
    done(_step(step).replace("_", " "))


def _execute_all(statements: Sequence[str]) -> None:
    for statement in statements:
        sql.execute(statement)


def _execute(text: str) -> None:
    """Run statements as they stand: a per cent sign is the operator."""
    with connection.cursor() as cursor:
        cursor.execute(text)


def _set_sequences() -> None:
    for table in TABLES:
        sql.fetch(
            f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table} HAVING max(id) > 0"
        )
    for sequence, table in NUMBERS.items():
        sql.fetch(f"SELECT setval('{sequence}', max(id)) FROM {table} HAVING max(id) > 0")

"""The 27 indexes of the trade's queries, and the hot ones beside them: who needs each, and how to see it at work.

Read by tests/plans, which hold each to its plan, and by `python -m bench.scale plans`, which prints it.
A screen is a request, a job or a sweep of the application; its statements are caught as they run.
"""

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlencode

from django.db import transaction

from bench.scale.explain import INDEX_ONLY, Statement, explained
from bench.scale.visitors import Visitors, visitors
from khaacho import jobs, sql
from orders import selectors as order_selectors
from orders import services as order_services
from orders import tasks as order_tasks
from payments import services as payment_services
from whatsapp.services import receiving

QUEUE_STATS = "/api/v1/queues/stats"
FEW = 10  # heap fetches that an index-only scan of a vacuumed table may make


class LostIndex(AssertionError):
    """A screen does not use its index."""


@dataclass(frozen=True)
class Use:
    """One index at work: its number among the 27 (0: beside them), its screen, and whether it is enough alone."""

    number: int
    index: str
    screen: str
    run: Callable[[Visitors], object]
    index_only: bool = False


def _retailer(path: str) -> Callable[[Visitors], object]:
    return lambda v: v.retailer.get(path.format(v=v))


def _vendor(path: str) -> Callable[[Visitors], object]:
    return lambda v: v.vendor.get(path.format(v=v))


def _staff(path: str) -> Callable[[Visitors], object]:
    return lambda v: v.staff.get(path.format(v=v))


def _admin(path: str) -> Callable[[Visitors], object]:
    return lambda v: v.admin.get(path.format(v=v))


def _one(statement: str) -> int:
    """Return the first value of a query that finds something to look at."""
    row = sql.fetch_one(statement)
    assert row is not None, statement
    return int(row[0])


def _history(v: Visitors) -> object:
    entity_id = _one(
        "SELECT entity_id FROM audit_logs WHERE entity_type = 'order' ORDER BY id DESC LIMIT 1"
    )
    return v.admin.get(f"/admin/orders/order/{entity_id}/change/")


def _messages_of_a_number(v: Visitors) -> object:
    phone = sql.fetch("SELECT phone FROM whatsapp_conversations ORDER BY id LIMIT 1")[0][0]
    return v.admin.get(f"/admin/whatsapp/whatsappmessage/?from_number={phone.replace('+', '%2B')}")


def _dearest(v: Visitors) -> object:
    """Filter for what only few offers cost."""
    price = _one(
        "SELECT vendor_price FROM vendor_products WHERE is_available AND deleted_at IS NULL"
        " ORDER BY vendor_price DESC OFFSET 40 LIMIT 1"
    )
    return v.retailer.get(f"/api/v1/products/?min_price={price}&cursor=")


def _narrow_category(v: Visitors) -> object:
    """Browse where few goods are: in a wide category, the goods by name are found sooner by name."""
    [(category, sub_category)] = sql.fetch(
        "SELECT category, sub_category FROM products GROUP BY 1, 2 ORDER BY count(*), 1, 2 LIMIT 1"
    )
    query = urlencode({"category": category, "sub_category": sub_category, "cursor": ""})
    return v.retailer.get(f"/api/v1/products/?{query}")


def _by_job(v: Visitors) -> object:
    return v.admin.get(
        f"/admin/khaacho/job/?q={sql.fetch('SELECT reference FROM jobs LIMIT 1')[0][0]}"
    )


def _replayed(v: Visitors) -> object:
    """Ask as the idempotency layer does for the answer that a key was given before."""
    [(user_id, key)] = sql.fetch("SELECT user_id, key FROM idempotency_keys ORDER BY id LIMIT 1")
    return sql.fetch(
        "SELECT fingerprint, status, response FROM idempotency_keys WHERE user_id = %s AND key = %s",
        [user_id, key],
    )


def _order_history(v: Visitors) -> object:
    return v.staff.get(f"/api/v1/orders/{_one('SELECT max(id) FROM orders')}/history/")


def _advances(v: Visitors) -> object:
    [(retailer_id, vendor_id)] = sql.fetch(
        "SELECT retailer_id, vendor_id FROM payments"
        " WHERE payment_status = 'PROCESSED' AND amount > allocated_amount LIMIT 1"
    )
    return payment_services.apply_advances(retailer_id=retailer_id, vendor_id=vendor_id)


def _lock_owing(v: Visitors) -> object:
    [(retailer_id, vendor_id)] = sql.fetch(
        "SELECT retailer_id, vendor_id FROM orders WHERE due_date IS NOT NULL AND due_amount > 0 LIMIT 1"
    )
    return payment_services.lock_owing(retailer_id=retailer_id, vendor_id=vendor_id, named=())


USES = (
    Use(
        1,
        "order_retailer_status_idx",
        "staff: a shop's orders in one state",
        _admin("/admin/orders/order/?retailer__id__exact={v.retailer_id}&status__exact=DELIVERED"),
    ),
    Use(
        2,
        "order_vendor_status_idx",
        "a vendor's orders in one state",
        _vendor("/api/v1/orders/?status=ACCEPTED&cursor="),
    ),
    Use(
        3,
        "order_statuses_idx",
        "staff: delivered and overdue orders",
        _admin("/admin/orders/order/?status__exact=DELIVERED&payment_status__exact=OVERDUE"),
    ),
    Use(4, "order_created_idx", "staff: all orders", _admin("/admin/orders/order/")),
    Use(
        5,
        "order_active_idx",
        "staff: the board of active orders",
        _admin("/admin/orders/order/?board=active"),
    ),
    Use(
        6,
        "order_overdue_idx",
        "staff: what a shop has overdue",
        _admin(
            "/admin/orders/order/?retailer__id__exact={v.retailer_id}&payment_status__exact=OVERDUE"
        ),
    ),
    Use(
        7,
        "order_list_covering_idx",
        "a shop's orders",
        _retailer("/api/v1/orders/?cursor="),
        index_only=True,
    ),
    Use(8, "ledger_retailer_idx", "a shop's ledger", _retailer("/api/v1/credit/ledger/?cursor=")),
    Use(9, "ledger_vendor_idx", "a vendor's ledger", _vendor("/api/v1/credit/ledger/?cursor=")),
    Use(
        10,
        "ledger_type_idx",
        "staff: entries of one kind",
        _admin("/admin/credit/creditledger/?transaction_type__exact=REVERSAL"),
    ),
    Use(
        11,
        "payment_retailer_idx",
        "a shop's payments in one state",
        _retailer("/api/v1/payments/?status=PROCESSED&cursor="),
    ),
    Use(12, "payment_vendor_idx", "a vendor's receipts", _vendor("/api/v1/payments/?cursor=")),
    Use(
        13,
        "offer_product_price_idx",
        "who sells a product, the cheapest first",
        _retailer("/api/v1/products/123/offers/?cursor="),
    ),
    Use(
        14,
        "offer_vendor_catalogue_idx",
        "the catalogue of one vendor",
        _retailer("/api/v1/products/?vendor={v.vendor_id}&cursor="),
        index_only=True,
    ),
    Use(15, "offer_price_idx", "products from a price on", _dearest),
    Use(16, "message_from_idx", "staff: messages of one number", _messages_of_a_number),
    Use(
        17,
        "message_processed_idx",
        "staff: messages that are done",
        _admin("/admin/whatsapp/whatsappmessage/?is_processed__exact=1"),
    ),
    Use(
        18,
        "message_unprocessed_idx",
        "the sweep for messages without an answer",
        lambda v: receiving.recover_receiving(limit=20),
    ),
    Use(
        19,
        "audit_user_created_idx",
        "staff: who did what",
        _admin("/admin/khaacho/auditlog/?user__id__exact={v.staff_id}"),
    ),
    Use(20, "audit_entity_created_idx", "staff: history of one order", _history),
    Use(
        21,
        "retailer_score_idx",
        "staff: shops by credit score",
        _admin("/admin/credit/retailer/?score=live"),
    ),
    Use(
        22,
        "retailer_debt_idx",
        "staff: debtors, the largest first",
        _admin("/admin/credit/retailer/?debt=owing"),
    ),
    Use(
        23,
        "vendor_rating_idx",
        "vendors, the best rated first",
        _retailer("/api/v1/vendors/?cursor="),
    ),
    Use(24, "product_category_idx", "products of a narrow category", _narrow_category),
    Use(
        25,
        "acceptance_inbox_idx",
        "what waits for one vendor's answer",
        _admin(
            "/admin/orders/vendororderacceptance/?vendor__id__exact={v.vendor_id}&status__exact=PENDING"
        ),
    ),
    Use(
        26,
        "products_name_trgm_idx",
        "staff: products by name",
        _admin("/admin/vendors/product/?q=chiura"),
    ),
    Use(
        27,
        "users_name_trgm_idx",
        "staff: people by name",
        _admin("/admin/khaacho/user/?q=Sunita%20Maharjan"),
    ),
    Use(0, "order_owing_idx", "dues to lock before a payment is allocated", _lock_owing),
    Use(
        0,
        "order_owing_idx",
        "what a shop owes past its date",
        lambda v: order_selectors.overdue_by_vendor(v.retailer_id),
    ),
    Use(
        0,
        "order_owing_idx",
        "the daily job that marks dues overdue",
        lambda v: order_services.mark_overdue(),
    ),
    Use(
        0,
        "acceptance_deadline_idx",
        "the sweep for questions past their deadline",
        lambda v: order_tasks.find_expired(),
    ),
    Use(0, "payment_advance_idx", "advances to use up on delivery", _advances),
    Use(0, "job_queued_idx", "the sweep for jobs that are due", lambda v: jobs.sweep()),
    Use(0, "job_leased_idx", "the sweep for workers that died", lambda v: jobs.sweep()),
    Use(0, "job_finished_idx", "the figures of the queues: done lately", _staff(QUEUE_STATS)),
    Use(0, "job_failed_idx", "the figures of the queues: failed lately", _staff(QUEUE_STATS)),
    Use(0, "job_reference_idx", "staff: what was done about one order", _by_job),
    Use(0, "idempotency_key_per_caller", "the answer that a key was given before", _replayed),
    Use(0, "status_log_sequence", "an order's history", _order_history),
    Use(
        0,
        "order_owing_idx",
        "what shops owe a vendor, by age",
        lambda v: order_selectors.ageing(vendor_id=v.vendor_id, retailer_ids=range(1, 200)),
        index_only=True,
    ),
    Use(
        0,
        "ledger_account_created_idx",
        "a shop's statement, from its opening balance on",
        _retailer("/api/v1/credit/statement/"),
    ),
)
THE_27 = tuple(use for use in USES if use.number)


def observed(use: Use, *, text: bool = False) -> list[Statement]:
    """Return the statements of the use's screen, explained. Everything is rolled back.

    The planner looks at the database as it is: a scale must be loaded.
    """
    with transaction.atomic():
        who = visitors()
        found = explained(lambda: use.run(who), text=text)
        transaction.set_rollback(True)
    return found


def proof(use: Use, statements: list[Statement]) -> Statement:
    """Return the last statement whose plan has the index: of a list's the page, rather than its count.

    Raises LostIndex, which names what was used instead.

    Where the index is to be enough alone: with an Index Only Scan of it, and few heap fetches.
    """
    for statement in reversed(statements):
        for node in statement.nodes:
            alone = node.kind == INDEX_ONLY and node.heap_fetches <= FEW
            if node.index == use.index and (alone or not use.index_only):
                return statement
    used = {
        f"{node.kind} {node.index or node.relation}"
        + (f" with {node.heap_fetches} heap fetches" if node.heap_fetches else "")
        for s in statements
        for node in s.nodes
        if node.relation or node.index
    }
    raise LostIndex(f"{use.screen}: not {use.index}, but {', '.join(sorted(used)) or 'no plan'}")


def plans() -> dict[str, str]:
    """Return the plan of each of the 27 indexes by its name, as PostgreSQL prints it, below its statement."""
    found = {}
    for use in THE_27:
        statement = proof(use, observed(use, text=True))
        found[use.index] = f"-- {use.screen}\n{statement.sql}\n\n{statement.text}"
    return found

"""The ledger, and what orders and payments say of it."""

from monitoring.invariants.rule import Invariant

# Entry by entry: is it what was hashed, does it follow the one before it, is none left out.
# An account whose last entry is gone, or is not the one it remembers, is named without an entry.
ALTERED = """
SELECT l.id, l.account_id, l.sequence, l.entry_number, concat_ws('; ',
    CASE WHEN NOT l.is_intact THEN 'contents are not what was hashed' END,
    CASE WHEN NOT l.is_linked THEN 'does not carry the hash of the entry before it' END,
    CASE WHEN NOT l.is_next THEN 'entries before it are missing' END) AS fault
FROM (
    SELECT e.id, e.account_id, e.sequence, e.entry_number,
        e.hash = credit_ledger_hash(e) AS is_intact,
        e.previous_hash = lag(e.hash, 1, '') OVER chain AS is_linked,
        e.sequence = lag(e.sequence, 1, 0::bigint) OVER chain + 1 AS is_next
    FROM credit_ledgers e WINDOW chain AS (PARTITION BY e.account_id ORDER BY e.sequence)
) l
WHERE NOT (l.is_intact AND l.is_linked AND l.is_next)
UNION ALL
SELECT NULL, a.id, coalesce(l.sequence, 0), coalesce(l.entry_number, ''),
    concat('the account''s last entry is ', a.last_sequence, ', the ledger''s ', coalesce(l.sequence, 0))
FROM credit_accounts a
LEFT JOIN LATERAL (
    SELECT sequence, hash, entry_number FROM credit_ledgers
    WHERE account_id = a.id ORDER BY sequence DESC LIMIT 1
) l ON true
WHERE (a.last_sequence, a.last_hash) <> (coalesce(l.sequence, 0), coalesce(l.hash, ''))
"""

INVARIANTS = (
    Invariant(
        "ledger_sequence_gap_free",
        "An account's entries are numbered 1, 2, 3 … up to its last_sequence.",
        "credit_account",
        "credit_accounts",
        """
        SELECT a.id, concat(coalesce(l.entries, 0), ' entries numbered ', l.first, ' to ', l.last,
            ', the account counts ', a.last_sequence)
        FROM credit_accounts a
        LEFT JOIN (
            SELECT account_id, count(*) AS entries, min(sequence) AS first, max(sequence) AS last
            FROM credit_ledgers GROUP BY account_id
        ) l ON l.account_id = a.id
        WHERE (coalesce(l.entries, 0), coalesce(l.first, 1), coalesce(l.last, 0))
            <> (a.last_sequence, 1, a.last_sequence)
        """,
        freezes=True,
    ),
    Invariant(
        "ledger_running_balance",
        "An entry starts at the balance where the one before it ended, and adds its amount.",
        "ledger_entry",
        "credit_ledgers",
        """
        SELECT id, concat(previous_balance, ' + ', amount, ' = ', running_balance, ' after ', ended)
        FROM (
            SELECT *, lag(running_balance, 1, 0::numeric(14,2))
                OVER (PARTITION BY account_id ORDER BY sequence) AS ended
            FROM credit_ledgers
        ) l
        WHERE previous_balance <> ended OR running_balance <> previous_balance + amount
        """,
        freezes=True,
    ),
    Invariant(
        "account_balance_is_last_running",
        "An account's balance is the running balance of its last entry.",
        "credit_account",
        "credit_accounts",
        """
        SELECT a.id, concat('balance ', a.balance, ', last entry ', coalesce(l.running_balance, 0))
        FROM credit_accounts a
        LEFT JOIN LATERAL (
            SELECT running_balance FROM credit_ledgers
            WHERE account_id = a.id ORDER BY sequence DESC LIMIT 1
        ) l ON true
        WHERE a.balance <> coalesce(l.running_balance, 0)
        """,
        freezes=True,
    ),
    Invariant(
        "account_balance_is_sum",
        "An account's balance is the sum of its entries.",
        "credit_account",
        "credit_accounts",
        """
        SELECT a.id, concat('balance ', a.balance, ', entries ', coalesce(l.total, 0))
        FROM credit_accounts a
        LEFT JOIN (SELECT account_id, sum(amount) AS total FROM credit_ledgers GROUP BY account_id) l
            ON l.account_id = a.id
        WHERE a.balance <> coalesce(l.total, 0)
        """,
        freezes=True,
    ),
    Invariant(
        "ledger_hash_chain",
        "Every entry is what was hashed and carries the hash of the one before it.",
        "credit_account",
        "credit_ledgers",
        f"""
        SELECT account_id, concat_ws(' ', 'sequence', sequence, entry_number || ':', fault)
        FROM ({ALTERED}) altered
        """,
        freezes=True,
    ),
    Invariant(
        "ledger_tenant_is_accounts",
        "An entry's retailer and vendor are its account's.",
        "ledger_entry",
        "credit_ledgers",
        """
        SELECT l.id, concat(l.entry_number, ' is of ', l.retailer_id, ' × ', l.vendor_id)
        FROM credit_ledgers l JOIN credit_accounts a ON a.id = l.account_id
        WHERE (l.retailer_id, l.vendor_id) <> (a.retailer_id, a.vendor_id)
        """,
        freezes=True,
    ),
    Invariant(
        "delivered_has_one_debit",
        "A delivered order points at one debit of its total on its own account.",
        "order",
        "orders WHERE status = ANY(%(invoiced)s)",
        """
        SELECT o.id, concat('total ', o.total, ', entry ', l.entry_number, ' ', l.transaction_type,
            ' ', l.amount)
        FROM orders o LEFT JOIN credit_ledgers l ON l.id = o.ledger_entry_id
        WHERE o.status = ANY(%(invoiced)s)
            AND (l.transaction_type, l.amount, l.retailer_id, l.vendor_id)
                IS DISTINCT FROM (%(order_debit)s, o.total, o.retailer_id, o.vendor_id)
        """,
        freezes=True,
    ),
    Invariant(
        "debit_has_its_order",
        "An order's debit is pointed at by one order.",
        "ledger_entry",
        "credit_ledgers WHERE transaction_type = %(order_debit)s",
        """
        SELECT l.id, concat(l.entry_number, ' (', l.key, ') belongs to no order')
        FROM credit_ledgers l LEFT JOIN orders o ON o.ledger_entry_id = l.id
        WHERE l.transaction_type = %(order_debit)s AND o.id IS NULL
        """,
        freezes=True,
    ),
    Invariant(
        "cancelled_nets_to_zero",
        "A cancelled order has moved no money: its entries cancel out, nothing is allocated to it.",
        "order",
        "orders WHERE status = %(cancelled)s",
        """
        WITH moved AS (
            SELECT substring(coalesce(m.key, l.key) FROM '^order:([0-9]+):')::bigint AS order_id,
                l.amount
            FROM credit_ledgers l LEFT JOIN credit_ledgers m ON m.id = l.reverses_id
        )
        SELECT o.id, concat('entries of ', sum(m.amount))
        FROM orders o JOIN moved m ON m.order_id = o.id
        WHERE o.status = %(cancelled)s GROUP BY o.id HAVING sum(m.amount) <> 0
        UNION ALL
        SELECT o.id, concat('allocations of ', sum(a.amount))
        FROM orders o JOIN payment_allocations a ON a.order_id = o.id AND a.reversed_at IS NULL
        WHERE o.status = %(cancelled)s GROUP BY o.id
        """,
        freezes=True,
    ),
    Invariant(
        "payment_has_its_credit",
        "A processed payment points at a credit of its amount; a reversed one's was reversed.",
        "payment",
        "payments WHERE payment_status = ANY(%(posted)s)",
        """
        SELECT p.id, concat(p.payment_status, ' ', p.amount, ', entry ', l.transaction_type, ' ',
            l.amount, ', reversed by ', r.entry_number)
        FROM payments p
        LEFT JOIN credit_ledgers l ON l.id = p.ledger_entry_id
        LEFT JOIN credit_ledgers r ON r.reverses_id = l.id
        WHERE (p.payment_status = ANY(%(posted)s)
                AND (l.transaction_type, l.amount, l.account_id)
                    IS DISTINCT FROM (%(payment_credit)s, -p.amount, p.account_id))
            OR (r.id IS NOT NULL) <> (p.payment_status = %(reversed)s)
        """,
        freezes=True,
    ),
    Invariant(
        "credit_has_its_payment",
        "A payment's credit is pointed at by one payment.",
        "ledger_entry",
        "credit_ledgers WHERE transaction_type = %(payment_credit)s",
        """
        SELECT l.id, concat(l.entry_number, ' (', l.key, ') belongs to no payment')
        FROM credit_ledgers l LEFT JOIN payments p ON p.ledger_entry_id = l.id
        WHERE l.transaction_type = %(payment_credit)s AND p.id IS NULL
        """,
        freezes=True,
    ),
    # What ageing shows: open amounts of delivered orders, less unapplied payments, plus the entries
    # that are neither an order's nor a payment's (nor a payment's reversal): adjustments, interest,
    # credit notes and their reversals.
    Invariant(
        "ageing_is_ledger",
        "Open amounts less advances plus other entries are the account's balance, to the paisa.",
        "credit_account",
        "credit_accounts",
        """
        WITH part (retailer_id, vendor_id, amount) AS (
            SELECT retailer_id, vendor_id, due_amount FROM orders
            WHERE status = ANY(%(invoiced)s) AND due_amount <> 0
            UNION ALL
            SELECT retailer_id, vendor_id, allocated_amount - amount FROM payments
            WHERE payment_status = %(processed)s AND amount <> allocated_amount
            UNION ALL
            SELECT l.retailer_id, l.vendor_id, l.amount FROM credit_ledgers l
            WHERE l.transaction_type <> ALL(ARRAY[%(order_debit)s, %(payment_credit)s])
                AND NOT EXISTS (SELECT FROM payments p WHERE p.ledger_entry_id = l.reverses_id)
        ), aged AS (
            SELECT retailer_id, vendor_id, sum(amount) AS amount FROM part
            GROUP BY retailer_id, vendor_id
        )
        SELECT a.id, concat('balance ', a.balance, ', open amounts ', coalesce(g.amount, 0))
        FROM credit_accounts a LEFT JOIN aged g USING (retailer_id, vendor_id)
        WHERE a.balance <> coalesce(g.amount, 0)
        UNION ALL
        SELECT NULL, concat('retailer ', g.retailer_id, ' owes vendor ', g.vendor_id, ' ', g.amount,
            ' without an account')
        FROM aged g LEFT JOIN credit_accounts a USING (retailer_id, vendor_id)
        WHERE a.id IS NULL AND g.amount <> 0
        """,
        freezes=True,
    ),
)

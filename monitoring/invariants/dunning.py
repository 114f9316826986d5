"""Reminders: never about what was paid, disputed or promised, never two a day, never in quiet hours.

A reminder is judged by the moment at which it was last looked at. A transaction that was under way at
that moment has an earlier time than its commit, so that a minute is allowed for.
"""

from monitoring.invariants.rule import Invariant

SENT = "payment_reminders m JOIN reminder_notices n ON n.id = m.notice_id AND m.state = 'SENT'"

INVARIANTS = (
    Invariant(
        "reminder_about_what_was_open",
        "No reminder was sent about an order that was paid, disputed or promised at that time.",
        "order",
        "payment_reminders WHERE state = 'SENT'",
        f"""
        SELECT m.order_id, concat('level ', m.level, ' was paid')
        FROM {SENT} JOIN orders o ON o.id = m.order_id
        WHERE o.total <= (SELECT coalesce(sum(a.amount), 0) FROM payment_allocations a
            WHERE a.order_id = m.order_id AND a.created_at < n.confirmed_at - interval '1 minute'
            AND (a.reversed_at IS NULL OR a.reversed_at > n.confirmed_at))
        UNION ALL
        SELECT m.order_id, concat('level ', m.level, ' was disputed')
        FROM {SENT} JOIN invoice_disputes d ON d.order_id = m.order_id
            AND d.opened_at < n.confirmed_at - interval '1 minute'
            AND (d.resolved_at IS NULL OR d.resolved_at > n.confirmed_at)
        UNION ALL
        SELECT m.order_id, concat('level ', m.level, ' was promised by ', p.until)
        FROM {SENT} JOIN payment_promises p ON p.retailer_id = m.retailer_id
            AND (p.order_id = m.order_id OR p.order_id IS NULL)
            AND p.created_at < n.confirmed_at - interval '1 minute'
            AND (p.closed_at IS NULL OR p.closed_at > n.confirmed_at) AND p.until >= n.day
        """,
    ),
    Invariant(
        "reminder_once_per_level",
        "Each level of the ladder is done once for an order.",
        "order",
        "payment_reminders",
        """
        SELECT order_id, concat(count(*), ' reminders of level ', level)
        FROM payment_reminders GROUP BY order_id, level HAVING count(*) > 1
        """,
    ),
    Invariant(
        "notices_days_apart",
        "A shop gets at most one notice a day, and three days lie between those sent.",
        "retailer",
        "reminder_notices",
        """
        SELECT retailer_id, concat(count(*), ' notices on ', day)
        FROM reminder_notices GROUP BY retailer_id, day HAVING count(*) > 1
        UNION ALL
        SELECT retailer_id, concat('sent on ', day, ' and ', following)
        FROM (SELECT retailer_id, day, lead(day) OVER (PARTITION BY retailer_id ORDER BY day) AS following
            FROM reminder_notices WHERE state = 'SENT') sent
        WHERE following - day IN (1, 2)
        """,
    ),
    Invariant(
        "notice_outside_quiet_hours",
        "Notices go on their own day, from 9 to 19 o'clock in Kathmandu, and not on Saturdays.",
        "retailer",
        "reminder_notices WHERE state = 'SENT'",
        """
        SELECT retailer_id, concat('of ', day, ' went at ', confirmed_at)
        FROM (SELECT *, confirmed_at AT TIME ZONE 'Asia/Kathmandu' AS local
            FROM reminder_notices WHERE state = 'SENT') sent
        WHERE local::date <> day OR local::time < '09:00' OR local::time >= '19:00'
            OR extract(isodow FROM local) = 6
        """,
    ),
    Invariant(
        "dunning_tenant_is_orders",
        "Promises, disputes, tasks and notices' lines are of the shop whose order they are about.",
        "order",
        "payment_promises",
        """
        SELECT o.id, concat(x.what, ' of retailer ', x.retailer_id)
        FROM (SELECT 'promise' AS what, order_id, retailer_id FROM payment_promises
            UNION ALL SELECT 'dispute', order_id, retailer_id FROM invoice_disputes
            UNION ALL SELECT 'task', order_id, retailer_id FROM collection_tasks
            UNION ALL SELECT 'notice', m.order_id, n.retailer_id
                FROM payment_reminders m JOIN reminder_notices n ON n.id = m.notice_id) x
        JOIN orders o ON o.id = x.order_id
        WHERE o.retailer_id <> x.retailer_id
        """,
    ),
)

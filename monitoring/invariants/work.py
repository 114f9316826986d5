"""Requests answered once, and work that must follow."""

from monitoring.invariants.rule import Invariant

INVARIANTS = (
    Invariant(
        "idempotency_key_once",
        "There is one result per caller and idempotency key.",
        "user",
        "idempotency_keys",
        """
        SELECT user_id, concat(count(*), ' results for one key')
        FROM idempotency_keys GROUP BY user_id, key HAVING count(*) > 1
        """,
    ),
    Invariant(
        "one_order_per_message",
        "A WhatsApp message is taken once and makes at most one order, which names it.",
        "order",
        "orders WHERE source = %(by_whatsapp)s",
        """
        SELECT min(id), concat(count(*), ' orders of one message')
        FROM orders WHERE source = %(by_whatsapp)s
        GROUP BY source_key HAVING count(*) > 1 OR source_key IS NULL
        UNION ALL
        SELECT min(order_id), concat(count(*), ' rows of one message')
        FROM whatsapp_messages WHERE provider_message_id IS NOT NULL
        GROUP BY provider_message_id HAVING count(*) > 1
        """,
    ),
    Invariant(
        "placed_is_being_routed",
        "A PLACED order has an open routing job, or an open alert that a person will see.",
        "order",
        "orders WHERE status = %(placed)s",
        """
        SELECT o.id, concat('placed ', o.created_at)
        FROM orders o
        WHERE o.status = %(placed)s
            AND NOT EXISTS (SELECT FROM jobs j WHERE j.kind = 'orders.route'
                AND j.reference = 'order:' || o.id AND j.state = ANY(%(open_jobs)s))
            AND NOT EXISTS (SELECT FROM alerts a WHERE a.entity_type = 'order'
                AND a.entity_id = o.id AND a.resolved_at IS NULL)
        """,
    ),
)

"""What is promised, what is allowed, and the sums that shops and accounts keep."""

from monitoring.invariants.rule import Invariant

INVARIANTS = (
    Invariant(
        "account_reserved_is_open_orders",
        "An account's reserved amount is the total of its undelivered orders on credit.",
        "credit_account",
        "credit_accounts",
        """
        WITH promised AS (
            SELECT retailer_id, vendor_id, sum(total) AS total FROM orders
            WHERE status = ANY(%(undelivered)s) AND payment_terms = %(on_credit)s
            GROUP BY retailer_id, vendor_id
        )
        SELECT a.id, concat('reserved ', coalesce(a.reserved, 0), ', orders ', coalesce(p.total, 0))
        FROM credit_accounts a FULL JOIN promised p USING (retailer_id, vendor_id)
        WHERE coalesce(a.reserved, 0) <> coalesce(p.total, 0)
        """,
        freezes=True,
    ),
    Invariant(
        "retailer_sums_are_accounts",
        "A shop's outstanding debt and reserved credit are the sums over its accounts.",
        "retailer",
        "retailers",
        """
        SELECT r.id, concat('owes ', r.outstanding_debt, ', reserved ', r.reserved_credit,
            '; accounts ', coalesce(a.balance, 0), ' and ', coalesce(a.reserved, 0))
        FROM retailers r
        LEFT JOIN (
            SELECT retailer_id, sum(balance) AS balance, sum(reserved) AS reserved
            FROM credit_accounts GROUP BY retailer_id
        ) a ON a.retailer_id = r.id
        WHERE (r.outstanding_debt, r.reserved_credit)
            <> (coalesce(a.balance, 0), coalesce(a.reserved, 0))
        """,
    ),
    Invariant(
        "credit_within_limit_or_approved",
        "No order on credit exceeded a limit when placed, unless the credit desk approved it.",
        "order",
        "orders WHERE payment_terms = %(on_credit)s",
        """
        SELECT o.id, concat('platform ', o.platform_exposure, ' of ', o.platform_limit,
            ', account ', o.account_exposure, ' of ', o.account_limit)
        FROM orders o
        LEFT JOIN credit_approvals p
            ON p.id = o.credit_approval_id AND p.used_for IS NOT NULL AND p.amount >= o.total
        LEFT JOIN credit_accounts a ON a.id = p.account_id AND a.retailer_id = o.retailer_id
        WHERE o.payment_terms = %(on_credit)s AND a.id IS NULL
            AND (o.platform_exposure <= o.platform_limit
                AND (o.account_limit IS NULL OR o.account_exposure <= o.account_limit)) IS NOT TRUE
        """,
        freezes=True,
    ),
    Invariant(
        "score_in_range",
        "A credit score is between 300 and 900.",
        "retailer",
        "retailers",
        """
        SELECT id, concat('score ', credit_score) FROM retailers
        WHERE credit_score NOT BETWEEN 300 AND 900
        UNION ALL
        SELECT retailer_id, concat('score ', score, ' of ', created_at) FROM credit_scores
        WHERE score NOT BETWEEN 300 AND 900
        """,
    ),
    Invariant(
        "score_is_latest",
        "A shop shows the score of its latest scoring.",
        "retailer",
        "retailers",
        """
        SELECT r.id, concat('shows ', r.credit_score, ', scored ', s.score)
        FROM retailers r
        JOIN LATERAL (
            SELECT score FROM credit_scores WHERE retailer_id = r.id
            ORDER BY created_at DESC, id DESC LIMIT 1
        ) s ON true
        WHERE r.credit_score <> s.score
        """,
    ),
)

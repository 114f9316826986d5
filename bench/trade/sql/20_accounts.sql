-- One vendor in five sets a limit of its own, with some room above the highest exposure so far.
INSERT INTO credit_accounts (id, retailer_id, vendor_id, payment_terms_days, credit_limit, created_at)
SELECT a.id, a.retailer_id, a.vendor_id, a.terms,
    CASE WHEN pg_temp.chance('own limit', a.pair) < 0.2 THEN greatest(10000, ceil(e.highest
        * (1.1 + 0.5 * pg_temp.chance('room', a.pair))::numeric / 5000) * 5000) END,
    a.opened_at
FROM plan_account a
LEFT JOIN (SELECT retailer_id, vendor_id, max(account_exposure) AS highest FROM plan_exposure
    GROUP BY retailer_id, vendor_id) e USING (retailer_id, vendor_id);

-- The very chain that the ledger's trigger makes, as a running aggregate: an entry's hash is that of the JSON array
-- whose first element is the hash before it (credit_ledger_hash), and `rest` is that array from the second on, written
-- as jsonb prints it. The state is the hash before and the entry's own, side by side.
CREATE OR REPLACE FUNCTION pg_temp.next_hash(state text, rest text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN right(state, 64) || encode(sha256(convert_to('["' || right(state, 64) || '", ' || rest, 'UTF8')), 'hex');
END $$;
CREATE OR REPLACE AGGREGATE pg_temp.chain (text) (sfunc = pg_temp.next_hash, stype = text, initcond = '');

INSERT INTO credit_ledgers (id, account_id, retailer_id, vendor_id, entry_number, sequence, transaction_type,
    previous_balance, amount, running_balance, key, reference, due_date, reverses_id, note, actor_id, previous_hash,
    hash, created_at)
WITH numbered AS (
    SELECT e.*, row_number() OVER entries AS sequence, (sum(e.amount) OVER entries)::numeric(14,2) AS balance
    FROM plan_entry e WINDOW entries AS (PARTITION BY e.account ORDER BY e.id ROWS UNBOUNDED PRECEDING)
), named AS (
    SELECT n.id, n.account, a.retailer, a.vendor, n.kind, n.amount, n.due_date, n.actor, n.at, n.sequence, n.balance,
        (n.balance - n.amount)::numeric(14,2) AS previous_balance, pg_temp.number('LED', n.id, n.at) AS entry_number, r.id AS reverses,
        CASE n.step WHEN 1 THEN 'order:' || n.document || ':debit' WHEN 2 THEN 'payment:' || n.document || ':credit'
            WHEN 3 THEN 'entry:' || r.id || ':reversal' ELSE 'adjustment:' || n.document END AS key,
        CASE n.step WHEN 1 THEN pg_temp.number('ORD', n.document, n.numbered_at)
            WHEN 2 THEN pg_temp.number('PAY', n.document, n.at) WHEN 3 THEN pg_temp.number('PAY', n.document, n.numbered_at)
            ELSE 'Adjustment ' || n.document END AS reference
    FROM numbered n
    JOIN plan_account a ON a.id = n.account
    LEFT JOIN (SELECT e.id, e.document FROM plan_entry e JOIN plan_payment p ON p.id = e.document AND p.state = 'REVERSED'
        WHERE e.step = 2) r ON n.step = 3 AND r.document = n.document
), hashed AS (
    SELECT n.*, pg_temp.chain(
        account || ', ' || retailer || ', ' || vendor || ', ' || sequence || ', "' || kind || '", ' || previous_balance || ', '
        || amount || ', ' || balance || ', "' || key || '", "' || reference || '", ' || coalesce('"' || due_date || '"', 'null')
        || ', ' || coalesce(reverses::text, 'null') || ', ' || actor || ', "' || entry_number || '", "", '
        || extract(epoch FROM at) || ']') OVER (PARTITION BY account ORDER BY id ROWS UNBOUNDED PRECEDING) AS hashes
    FROM named n
)
SELECT id, account, retailer, vendor, entry_number, sequence, kind, previous_balance, amount, balance, key, reference,
    due_date, reverses, '', actor, left(hashes, -64), right(hashes, 64), at
FROM hashed ORDER BY id;
ANALYZE credit_ledgers;

-- Statements that must never succeed, one per block, run by tests/test_redteam.py as the
-- application's own database role against a small world: orders 'placed', 'pending', 'accepted',
-- 'delivered' 'cancelled' and 'later' (delivered after the payments), named in orders.notes; processed payments
-- and a bounced cheque.

-- name: edit a ledger entry
UPDATE credit_ledgers SET amount = 1;

-- name: edit a ledger entry's balance and hash
UPDATE credit_ledgers SET running_balance = 0, hash = repeat('0', 64);

-- name: delete a ledger entry
DELETE FROM credit_ledgers;

-- name: truncate the ledger
TRUNCATE credit_ledgers CASCADE;

-- name: post the same fact twice
INSERT INTO credit_ledgers (account_id, transaction_type, amount, key, reference)
SELECT account_id, transaction_type, amount, key, reference FROM credit_ledgers LIMIT 1;

-- name: a credit that increases the debt
INSERT INTO credit_ledgers (account_id, transaction_type, amount, key, reference)
SELECT id, 'PAYMENT_CREDIT', 100, 'forged:1', 'x' FROM credit_accounts LIMIT 1;

-- name: a debit that lowers the debt
INSERT INTO credit_ledgers (account_id, transaction_type, amount, key, reference)
SELECT id, 'ORDER_DEBIT', -100, 'forged:2', 'x' FROM credit_accounts LIMIT 1;

-- name: an entry of nothing
INSERT INTO credit_ledgers (account_id, transaction_type, amount, key, reference)
SELECT id, 'ADJUSTMENT_DEBIT', 0, 'forged:3', 'x' FROM credit_accounts LIMIT 1;

-- name: an entry in another tenant's name
INSERT INTO credit_ledgers (account_id, retailer_id, transaction_type, amount, key, reference)
SELECT a.id, (SELECT id FROM retailers WHERE id <> a.retailer_id LIMIT 1), 'ORDER_DEBIT', 5, 'forged:4', 'x'
FROM credit_accounts a LIMIT 1;

-- name: an entry dated before the one it follows
INSERT INTO credit_ledgers (account_id, transaction_type, amount, key, reference, created_at)
SELECT account_id, 'ORDER_DEBIT', 5, 'forged:5', 'x', '2001-01-01' FROM credit_ledgers LIMIT 1;

-- name: a reversal that mirrors nothing
INSERT INTO credit_ledgers (account_id, transaction_type, amount, key, reference)
SELECT account_id, 'REVERSAL', 5, 'forged:6', 'x' FROM credit_ledgers LIMIT 1;

-- name: a reversal of another amount
INSERT INTO credit_ledgers (account_id, transaction_type, amount, key, reference, reverses_id)
SELECT account_id, 'REVERSAL', 1 - amount, 'forged:7', 'x', id FROM credit_ledgers
WHERE transaction_type = 'ORDER_DEBIT' LIMIT 1;

-- name: a second reversal of one entry
INSERT INTO credit_ledgers (account_id, transaction_type, amount, key, reference, reverses_id)
SELECT account_id, 'REVERSAL', amount, 'forged:8', 'x', reverses_id FROM credit_ledgers
WHERE reverses_id IS NOT NULL LIMIT 1;

-- name: write an account's balance
UPDATE credit_accounts SET balance = 0 WHERE balance <> 0;

-- name: write an account's sequence
UPDATE credit_accounts SET last_sequence = last_sequence + 7;

-- name: write a retailer's debt
UPDATE retailers SET outstanding_debt = outstanding_debt - 1;

-- name: open an account with money in it
INSERT INTO credit_accounts (retailer_id, vendor_id, balance)
SELECT r.id, v.id, -5000 FROM retailers r, vendors v
WHERE NOT EXISTS (SELECT FROM credit_accounts a WHERE a.retailer_id = r.id AND a.vendor_id = v.id) LIMIT 1;

-- name: open a second account of a pair
INSERT INTO credit_accounts (retailer_id, vendor_id) SELECT retailer_id, vendor_id FROM credit_accounts LIMIT 1;

-- name: give an account to another retailer
UPDATE credit_accounts a SET retailer_id = (SELECT max(id) FROM retailers WHERE id <> a.retailer_id);

-- name: reserve past the platform's limit
UPDATE retailers SET reserved_credit = credit_limit - outstanding_debt + 1;

-- name: reserve past an account's limit
UPDATE credit_accounts SET reserved = credit_limit - balance + 1 WHERE credit_limit IS NOT NULL;

-- name: a negative reservation
UPDATE credit_accounts SET reserved = -1;

-- name: a score beyond the scale
UPDATE retailers SET credit_score = 901;

-- name: a shop blocked without a reason
UPDATE retailers SET is_blocked = true, blocked_reason = '';

-- name: use one approval twice
UPDATE credit_approvals SET used_for = NULL WHERE used_for IS NOT NULL;

-- name: enlarge an approval
UPDATE credit_approvals SET amount = amount * 100;

-- name: approve one's own large rise
UPDATE credit_limit_changes SET decided_by_id = requested_by_id, state = 'APPROVED' WHERE needs_second_person;

-- name: sell what is not there
UPDATE vendor_products SET reserved = stock + 1;

-- name: stock below what is promised
UPDATE vendor_products SET stock = reserved - 1 WHERE reserved > 0;

-- name: a negative reservation of stock
UPDATE vendor_products SET reserved = -1;

-- name: a free offer
UPDATE vendor_products SET vendor_price = 0;

-- name: a second offer of one product
INSERT INTO vendor_products (vendor_id, product_id, vendor_price, stock, is_available)
SELECT vendor_id, product_id, 1, 1, true FROM vendor_products LIMIT 1;

-- name: an order born delivered
INSERT INTO orders (retailer_id, vendor_id, vendor_named, status, payment_terms, subtotal, tax_amount, total, agreed_total, source)
SELECT retailer_id, vendor_id, true, 'DELIVERED', 'CASH', 5, 0, 5, 5, 'API' FROM orders LIMIT 1;

-- name: from placed to delivered
UPDATE orders SET status = 'DELIVERED' WHERE notes = 'placed';

-- name: back from cancelled
UPDATE orders SET status = 'PLACED' WHERE notes = 'cancelled';

-- name: back from delivered
UPDATE orders SET status = 'OUT_FOR_DELIVERY', ledger_entry_id = NULL WHERE notes = 'delivered';

-- name: cancel after delivery
UPDATE orders SET status = 'CANCELLED', cancel_reason = 'x' WHERE notes = 'delivered';

-- name: cancel without a reason
UPDATE orders SET status = 'CANCELLED', cancel_reason = '' WHERE notes = 'placed';

-- name: an unknown status
UPDATE orders SET status = 'LOST' WHERE notes = 'placed';

-- name: delivered without its debit
UPDATE orders SET ledger_entry_id = NULL WHERE notes = 'delivered';

-- name: change the total of an accepted order
UPDATE orders SET total = total + 1, subtotal = subtotal + 1 WHERE notes = 'accepted';

-- name: raise the agreed total
UPDATE orders SET agreed_total = agreed_total + 100 WHERE notes = 'pending';

-- name: a total above what was agreed
UPDATE orders SET total = total + 1, subtotal = subtotal + 1 WHERE notes = 'pending';

-- name: a total that is not the sum of its parts
UPDATE orders SET tax_amount = tax_amount + 1 WHERE notes = 'placed';

-- name: a subtotal that the lines do not add up to
UPDATE orders SET subtotal = subtotal - 1, total = total - 1 WHERE notes = 'placed';

-- name: give an order to another retailer
UPDATE orders o SET retailer_id = (SELECT max(id) FROM retailers WHERE id <> o.retailer_id) WHERE notes = 'placed';

-- name: turn a credit order into a cash order
UPDATE orders SET payment_terms = 'CASH' WHERE notes = 'placed';

-- name: exposure past the limit without approval
UPDATE orders SET platform_exposure = platform_limit + 1, credit_approval_id = NULL WHERE notes = 'placed';

-- name: mark an order paid without a payment
UPDATE orders SET paid_amount = total, payment_status = 'PAID' WHERE notes = 'delivered';

-- name: pay part of an order without a payment
UPDATE orders SET paid_amount = 1, payment_status = 'PARTIAL' WHERE notes = 'delivered';

-- name: pay more than the total
UPDATE orders SET paid_amount = total + 1 WHERE notes = 'delivered';

-- name: delete an order
DELETE FROM orders WHERE notes = 'placed';

-- name: truncate orders
TRUNCATE orders CASCADE;

-- name: delete an order's lines
DELETE FROM order_items;

-- name: change a quantity
UPDATE order_items SET quantity = quantity + 1, line_total = (quantity + 1) * unit_price;

-- name: change a price after acceptance
UPDATE order_items i SET unit_price = 1, line_total = quantity, tax_amount = 0
FROM orders o WHERE o.id = i.order_id AND o.notes = 'accepted';

-- name: add a line after acceptance
INSERT INTO order_items (order_id, offer_id, product_id, product_name, sku, quantity, unit_price, tax_rate, line_total, tax_amount)
SELECT o.id, v.id, v.product_id, 'x', 'x', 1, 1, 0, 1, 0 FROM orders o, vendor_products v
WHERE o.notes = 'accepted' AND v.product_id NOT IN (SELECT product_id FROM order_items WHERE order_id = o.id) LIMIT 1;

-- name: tax that was not rounded from its line
UPDATE order_items SET tax_amount = tax_amount + 0.01;

-- name: rewrite the status log
UPDATE order_status_logs SET to_status = 'CANCELLED';

-- name: invent a step of the status log
INSERT INTO order_status_logs (order_id, sequence, from_status, to_status, reason)
SELECT id, 99, 'PLACED', 'CANCELLED', 'x' FROM orders LIMIT 1;

-- name: delete the status log
DELETE FROM order_status_logs;

-- name: ask two vendors at once
INSERT INTO vendor_order_acceptances (order_id, vendor_id, deadline, candidates)
SELECT o.id, v.id, now(), '[]' FROM orders o, vendors v WHERE o.notes = 'pending' AND v.id <> o.vendor_id LIMIT 1;

-- name: ask one vendor twice
INSERT INTO vendor_order_acceptances (order_id, vendor_id, deadline, candidates, status, answered_at)
SELECT order_id, vendor_id, now(), '[]', 'REJECTED', now() FROM vendor_order_acceptances LIMIT 1;

-- name: change an answer
UPDATE vendor_order_acceptances SET status = 'REJECTED' WHERE status = 'ACCEPTED';

-- name: one invoice number for two orders
UPDATE orders SET invoice_number = (SELECT invoice_number FROM orders WHERE notes = 'delivered') || '0'
WHERE notes = 'delivered';

-- name: enlarge a payment
UPDATE payments SET amount = amount + 1;

-- name: a payment of nothing
INSERT INTO payments (account_id, retailer_id, vendor_id, amount, method)
SELECT id, retailer_id, vendor_id, 0, 'CASH' FROM credit_accounts LIMIT 1;

-- name: a negative payment
INSERT INTO payments (account_id, retailer_id, vendor_id, amount, method)
SELECT id, retailer_id, vendor_id, -5, 'CASH' FROM credit_accounts LIMIT 1;

-- name: a payment on another tenant's account
INSERT INTO payments (account_id, retailer_id, vendor_id, amount, method)
SELECT a.id, (SELECT id FROM retailers WHERE id <> a.retailer_id LIMIT 1), vendor_id, 5, 'CASH' FROM credit_accounts a LIMIT 1;

-- name: processed without a ledger entry
UPDATE payments SET ledger_entry_id = NULL WHERE payment_status = 'PROCESSED';

-- name: bring back a reversed payment
UPDATE payments SET payment_status = 'PROCESSED', reversed_at = NULL, bounced = false WHERE payment_status = 'REVERSED';

-- name: bounce cash
UPDATE payments SET bounced = true WHERE method = 'CASH';

-- name: one external transaction twice
INSERT INTO payments (account_id, retailer_id, vendor_id, amount, method, transaction_id)
SELECT account_id, retailer_id, vendor_id, 5, method, transaction_id FROM payments WHERE transaction_id IS NOT NULL LIMIT 1;

-- name: delete a payment
DELETE FROM payments;

-- name: allocate more than was paid
UPDATE payments SET allocated_amount = amount + 1;

-- name: change an allocation
UPDATE payment_allocations SET amount = amount - 1;

-- name: an allocation across retailers
INSERT INTO payment_allocations (payment_id, order_id, amount)
SELECT p.id, o.id, 1 FROM payments p JOIN orders o ON o.retailer_id <> p.retailer_id LIMIT 1;

-- name: an allocation that no paid amount shows
INSERT INTO payment_allocations (payment_id, order_id, amount)
SELECT p.id, o.id, 1 FROM payments p JOIN orders o USING (retailer_id, vendor_id)
WHERE o.notes = 'later' AND p.payment_status = 'PROCESSED' AND NOT EXISTS (
    SELECT FROM payment_allocations a WHERE a.payment_id = p.id AND a.order_id = o.id) LIMIT 1;

-- name: take back an allocation behind the order's back
UPDATE payment_allocations SET reversed_at = now() WHERE reversed_at IS NULL;

-- name: delete an allocation
DELETE FROM payment_allocations;

-- name: edit the audit log
UPDATE audit_logs SET action = 'nothing.happened';

-- name: delete the audit log
DELETE FROM audit_logs;

-- name: truncate the audit log
TRUNCATE audit_logs;

-- name: a login that is no phone number
UPDATE users SET phone = 'admin';

-- name: a shopkeeper with all rights
UPDATE users SET is_superuser = true WHERE role = 'RETAILER';

-- name: an invented role
UPDATE users SET role = 'GOD';

-- name: delete a user with a shop
DELETE FROM users WHERE role = 'RETAILER';

-- name: a running job without a lease
INSERT INTO jobs (queue, kind, args, state, reference) VALUES ('orders', 'x', '{}', 'running', '');

-- name: the same idempotency key twice
INSERT INTO idempotency_keys (user_id, key, fingerprint) SELECT id, 'k', 'f' FROM users, generate_series(1, 2);

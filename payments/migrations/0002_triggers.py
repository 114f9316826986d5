"""Payments are never edited, only reversed; what orders show as paid is what allocations say."""

from django.db import migrations

PAYMENTS = """
CREATE FUNCTION payment_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.payment_number, OLD.account_id, OLD.retailer_id, OLD.vendor_id, OLD.amount, OLD.method,
        OLD.transaction_id, OLD.created_at)
        IS DISTINCT FROM (NEW.payment_number, NEW.account_id, NEW.retailer_id, NEW.vendor_id, NEW.amount,
        NEW.method, NEW.transaction_id, NEW.created_at)
        OR (OLD.ledger_entry_id IS NOT NULL AND OLD.ledger_entry_id IS DISTINCT FROM NEW.ledger_entry_id) THEN
        RAISE EXCEPTION 'payment %: a payment is reversed, never edited', OLD.payment_number
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF OLD.payment_status <> NEW.payment_status AND (OLD.payment_status, NEW.payment_status) NOT IN (
        ('PENDING', 'PROCESSED'), ('PENDING', 'FAILED'), ('PROCESSED', 'REVERSED')) THEN
        RAISE EXCEPTION 'payment %: no way from % to %', OLD.payment_number, OLD.payment_status, NEW.payment_status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'payment_transition';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION payment_guard();
CREATE FUNCTION payment_tenant_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM credit_accounts WHERE id = NEW.account_id
        AND retailer_id = NEW.retailer_id AND vendor_id = NEW.vendor_id) THEN
        RAISE EXCEPTION 'payment of another tenant than its account' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER tenant BEFORE INSERT ON payments FOR EACH ROW EXECUTE FUNCTION payment_tenant_guard();
CREATE TRIGGER never_deleted BEFORE DELETE ON payments FOR EACH ROW EXECUTE FUNCTION khaacho_never_deleted();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON payments
    FOR EACH STATEMENT EXECUTE FUNCTION khaacho_never_deleted();
CREATE TRIGGER audit AFTER UPDATE OF payment_status, bounced, reversal_reason ON payments
    FOR EACH ROW EXECUTE FUNCTION khaacho_audit('payment', '{allocated_amount}');
"""
PAYMENTS_REVERSE = """
DROP TRIGGER guard ON payments;
DROP TRIGGER tenant ON payments;
DROP TRIGGER never_deleted ON payments;
DROP TRIGGER never_truncated ON payments;
DROP TRIGGER audit ON payments;
DROP FUNCTION payment_guard();
DROP FUNCTION payment_tenant_guard();
"""

ALLOCATIONS = """
CREATE FUNCTION allocation_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NOT EXISTS (SELECT FROM payments p JOIN orders o
            ON o.retailer_id = p.retailer_id AND o.vendor_id = p.vendor_id
            WHERE p.id = NEW.payment_id AND o.id = NEW.order_id) THEN
            RAISE EXCEPTION 'allocation across retailers or vendors' USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    ELSIF OLD.reversed_at IS NOT NULL
        OR (OLD.payment_id, OLD.order_id, OLD.amount, OLD.created_at)
            IS DISTINCT FROM (NEW.payment_id, NEW.order_id, NEW.amount, NEW.created_at) THEN
        RAISE EXCEPTION 'an allocation is reversed once, never edited' USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard BEFORE INSERT OR UPDATE ON payment_allocations
    FOR EACH ROW EXECUTE FUNCTION allocation_guard();
CREATE TRIGGER never_deleted BEFORE DELETE ON payment_allocations
    FOR EACH ROW EXECUTE FUNCTION khaacho_never_deleted();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON payment_allocations
    FOR EACH STATEMENT EXECUTE FUNCTION khaacho_never_deleted();
"""
ALLOCATIONS_REVERSE = """
DROP TRIGGER guard ON payment_allocations;
DROP TRIGGER never_deleted ON payment_allocations;
DROP TRIGGER never_truncated ON payment_allocations;
DROP FUNCTION allocation_guard();
"""

# Checked at commit, whichever of the three tables was written.
SUMS = """
CREATE FUNCTION allocation_sums_check() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    row_json jsonb := to_jsonb(NEW);
    wrong_order bigint;
    wrong_payment bigint;
BEGIN
    IF TG_TABLE_NAME IN ('orders', 'payment_allocations') THEN
        SELECT o.id INTO wrong_order FROM orders o
            WHERE o.id = (row_json ->> CASE TG_TABLE_NAME WHEN 'orders' THEN 'id' ELSE 'order_id' END)::bigint
            AND o.paid_amount <> (SELECT coalesce(sum(a.amount), 0) FROM payment_allocations a
                WHERE a.order_id = o.id AND a.reversed_at IS NULL);
    END IF;
    IF TG_TABLE_NAME IN ('payments', 'payment_allocations') THEN
        SELECT p.id INTO wrong_payment FROM payments p
            WHERE p.id = (row_json ->> CASE TG_TABLE_NAME WHEN 'payments' THEN 'id' ELSE 'payment_id' END)::bigint
            AND p.allocated_amount <> (SELECT coalesce(sum(a.amount), 0) FROM payment_allocations a
                WHERE a.payment_id = p.id AND a.reversed_at IS NULL);
    END IF;
    IF wrong_order IS NOT NULL OR wrong_payment IS NOT NULL THEN
        RAISE EXCEPTION 'paid amounts of order % or payment % differ from live allocations', wrong_order, wrong_payment
            USING ERRCODE = 'check_violation', CONSTRAINT = 'allocation_sums';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER allocation_sums AFTER UPDATE OF paid_amount ON orders
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION allocation_sums_check();
CREATE CONSTRAINT TRIGGER allocation_sums AFTER INSERT OR UPDATE OF allocated_amount ON payments
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION allocation_sums_check();
CREATE CONSTRAINT TRIGGER allocation_sums AFTER INSERT OR UPDATE ON payment_allocations
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION allocation_sums_check();
"""
SUMS_REVERSE = """
DROP TRIGGER allocation_sums ON orders;
DROP TRIGGER allocation_sums ON payments;
DROP TRIGGER allocation_sums ON payment_allocations;
DROP FUNCTION allocation_sums_check();
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0001_initial"), ("khaacho", "0002_triggers")]
    operations = [
        migrations.RunSQL(PAYMENTS, PAYMENTS_REVERSE),
        migrations.RunSQL(ALLOCATIONS, ALLOCATIONS_REVERSE),
        migrations.RunSQL(SUMS, SUMS_REVERSE),
    ]

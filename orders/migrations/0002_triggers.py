"""Legal transitions, a status log that writes itself, and records that stay as they were agreed."""

from django.db import migrations

# The same edges as orders.enums.NEXT; a test compares them.
TRANSITIONS = """
CREATE FUNCTION order_transition_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'PLACED' THEN
            RAISE EXCEPTION 'a new order is PLACED, not %', NEW.status
                USING ERRCODE = 'check_violation', CONSTRAINT = 'order_transition';
        END IF;
        RETURN NEW;
    END IF;
    IF (OLD.status, NEW.status) NOT IN (
        ('PLACED', 'PENDING'), ('PLACED', 'CANCELLED'),
        ('PENDING', 'ACCEPTED'), ('PENDING', 'PLACED'), ('PENDING', 'CANCELLED'),
        ('ACCEPTED', 'PACKING'), ('ACCEPTED', 'CANCELLED'),
        ('PACKING', 'DISPATCHED'), ('PACKING', 'CANCELLED'),
        ('DISPATCHED', 'OUT_FOR_DELIVERY'), ('DISPATCHED', 'CANCELLED'),
        ('OUT_FOR_DELIVERY', 'DELIVERED'), ('OUT_FOR_DELIVERY', 'CANCELLED'),
        ('DELIVERED', 'COMPLETED')
    ) THEN
        RAISE EXCEPTION 'order %: no way from % to %', OLD.order_number, OLD.status, NEW.status
            USING ERRCODE = 'check_violation', CONSTRAINT = 'order_transition';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER transition_insert BEFORE INSERT ON orders
    FOR EACH ROW EXECUTE FUNCTION order_transition_guard();
CREATE TRIGGER transition_update BEFORE UPDATE OF status ON orders
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION order_transition_guard();
"""
TRANSITIONS_REVERSE = """
DROP TRIGGER transition_insert ON orders;
DROP TRIGGER transition_update ON orders;
DROP FUNCTION order_transition_guard();
"""

STATUS_LOG = """
CREATE FUNCTION order_status_log() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO order_status_logs (order_id, sequence, from_status, to_status, actor_id, reason)
    VALUES (
        NEW.id,
        CASE WHEN TG_OP = 'INSERT' THEN 1 ELSE
            (SELECT coalesce(max(sequence), 0) + 1 FROM order_status_logs WHERE order_id = NEW.id) END,
        CASE WHEN TG_OP = 'UPDATE' THEN OLD.status END,
        NEW.status,
        nullif(current_setting('khaacho.actor', true), '')::bigint,
        coalesce(current_setting('khaacho.reason', true), '')
    );
    RETURN NULL;
END $$;
CREATE TRIGGER status_log_insert AFTER INSERT ON orders
    FOR EACH ROW EXECUTE FUNCTION order_status_log();
CREATE TRIGGER status_log_update AFTER UPDATE OF status ON orders
    FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION order_status_log();
CREATE FUNCTION order_status_log_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'order_status_logs is written by orders alone'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER written_by_orders BEFORE INSERT ON order_status_logs
    FOR EACH ROW EXECUTE FUNCTION order_status_log_guard();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON order_status_logs
    FOR EACH ROW EXECUTE FUNCTION khaacho_append_only();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON order_status_logs
    FOR EACH STATEMENT EXECUTE FUNCTION khaacho_append_only();
"""
STATUS_LOG_REVERSE = """
DROP TRIGGER status_log_insert ON orders;
DROP TRIGGER status_log_update ON orders;
DROP TRIGGER written_by_orders ON order_status_logs;
DROP TRIGGER append_only ON order_status_logs;
DROP TRIGGER append_only_truncate ON order_status_logs;
DROP FUNCTION order_status_log();
DROP FUNCTION order_status_log_guard();
"""

# Vendor and prices may move while a vendor is being found; after acceptance nothing agreed changes.
AGREED = """
CREATE FUNCTION order_agreed_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.order_number, OLD.retailer_id, OLD.agreed_total, OLD.payment_terms, OLD.created_at)
        IS DISTINCT FROM (NEW.order_number, NEW.retailer_id, NEW.agreed_total, NEW.payment_terms, NEW.created_at)
        OR (OLD.status NOT IN ('PLACED', 'PENDING')
            AND (OLD.vendor_id, OLD.subtotal, OLD.tax_amount, OLD.total)
                IS DISTINCT FROM (NEW.vendor_id, NEW.subtotal, NEW.tax_amount, NEW.total))
        OR (OLD.ledger_entry_id IS NOT NULL
            AND (OLD.ledger_entry_id, OLD.invoice_number, OLD.due_date)
                IS DISTINCT FROM (NEW.ledger_entry_id, NEW.invoice_number, NEW.due_date)) THEN
        RAISE EXCEPTION 'order %: what was agreed does not change', OLD.order_number
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER agreed BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION order_agreed_guard();
CREATE FUNCTION order_item_agreed_guard() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    current_status text;
BEGIN
    SELECT status INTO current_status FROM orders WHERE id = NEW.order_id;
    IF current_status NOT IN ('PLACED', 'PENDING')
        OR (TG_OP = 'UPDATE' AND (OLD.order_id, OLD.product_id, OLD.quantity)
            IS DISTINCT FROM (NEW.order_id, NEW.product_id, NEW.quantity)) THEN
        RAISE EXCEPTION 'order item %: what was agreed does not change', NEW.id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER agreed BEFORE INSERT OR UPDATE ON order_items
    FOR EACH ROW EXECUTE FUNCTION order_item_agreed_guard();
CREATE TRIGGER never_deleted BEFORE DELETE ON orders
    FOR EACH ROW EXECUTE FUNCTION khaacho_never_deleted();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON orders
    FOR EACH STATEMENT EXECUTE FUNCTION khaacho_never_deleted();
CREATE TRIGGER never_deleted BEFORE DELETE ON order_items
    FOR EACH ROW EXECUTE FUNCTION khaacho_never_deleted();
CREATE TRIGGER never_truncated BEFORE TRUNCATE ON order_items
    FOR EACH STATEMENT EXECUTE FUNCTION khaacho_never_deleted();
"""
AGREED_REVERSE = """
DROP TRIGGER agreed ON orders;
DROP TRIGGER agreed ON order_items;
DROP TRIGGER never_deleted ON orders;
DROP TRIGGER never_truncated ON orders;
DROP TRIGGER never_deleted ON order_items;
DROP TRIGGER never_truncated ON order_items;
DROP FUNCTION order_agreed_guard();
DROP FUNCTION order_item_agreed_guard();
"""

# Each line's tax rounds half up, and the lines add up to the order; checked at commit.
SUMS = """
ALTER TABLE order_items ADD CONSTRAINT item_tax_rounded
    CHECK (tax_amount = round(line_total * tax_rate / 100, 2));
CREATE FUNCTION order_sums_check() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    wanted orders;
    lines record;
BEGIN
    SELECT * INTO wanted FROM orders
        WHERE id = CASE TG_TABLE_NAME WHEN 'orders' THEN (to_jsonb(NEW) ->> 'id')::bigint
            ELSE (to_jsonb(NEW) ->> 'order_id')::bigint END;
    SELECT coalesce(sum(line_total), 0) AS net, coalesce(sum(tax_amount), 0) AS tax INTO lines
        FROM order_items WHERE order_id = wanted.id;
    IF lines.net <> wanted.subtotal OR lines.tax <> wanted.tax_amount THEN
        RAISE EXCEPTION 'order %: lines add up to % + %, not % + %', wanted.order_number,
            lines.net, lines.tax, wanted.subtotal, wanted.tax_amount
            USING ERRCODE = 'check_violation', CONSTRAINT = 'order_sums';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER sums AFTER INSERT OR UPDATE OF subtotal, tax_amount ON orders
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION order_sums_check();
CREATE CONSTRAINT TRIGGER sums AFTER UPDATE OF line_total, tax_amount ON order_items
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION order_sums_check();
"""
SUMS_REVERSE = """
DROP TRIGGER sums ON orders;
DROP TRIGGER sums ON order_items;
DROP FUNCTION order_sums_check();
ALTER TABLE order_items DROP CONSTRAINT item_tax_rounded;
"""

ACCEPTANCES = """
CREATE FUNCTION acceptance_answer_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'acceptance %: the answer was given', OLD.id
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER answered_once BEFORE UPDATE ON vendor_order_acceptances
    FOR EACH ROW WHEN (OLD.status <> 'PENDING') EXECUTE FUNCTION acceptance_answer_guard();
CREATE TRIGGER never_deleted BEFORE DELETE ON vendor_order_acceptances
    FOR EACH ROW EXECUTE FUNCTION khaacho_never_deleted();
"""
ACCEPTANCES_REVERSE = """
DROP TRIGGER answered_once ON vendor_order_acceptances;
DROP TRIGGER never_deleted ON vendor_order_acceptances;
DROP FUNCTION acceptance_answer_guard();
"""

AUDIT = """
CREATE TRIGGER audit AFTER UPDATE OF vendor_id, total, notes, credit_approval_id ON orders
    FOR EACH ROW EXECUTE FUNCTION khaacho_audit('order',
    '{status,payment_status,paid_amount,due_amount,ledger_entry_id,invoice_number,due_date,accepted_at,packed_at,dispatched_at,out_for_delivery_at,delivered_at,completed_at,cancelled_at,cancel_reason}');
CREATE TRIGGER audit AFTER UPDATE ON order_refusals
    FOR EACH ROW EXECUTE FUNCTION khaacho_audit('refusal', '{request,details}');
"""
AUDIT_REVERSE = "DROP TRIGGER audit ON orders; DROP TRIGGER audit ON order_refusals;"


class Migration(migrations.Migration):
    dependencies = [("orders", "0001_initial"), ("khaacho", "0002_triggers")]
    operations = [
        migrations.RunSQL(TRANSITIONS, TRANSITIONS_REVERSE),
        migrations.RunSQL(STATUS_LOG, STATUS_LOG_REVERSE),
        migrations.RunSQL(AGREED, AGREED_REVERSE),
        migrations.RunSQL(SUMS, SUMS_REVERSE),
        migrations.RunSQL(ACCEPTANCES, ACCEPTANCES_REVERSE),
        migrations.RunSQL(AUDIT, AUDIT_REVERSE),
    ]

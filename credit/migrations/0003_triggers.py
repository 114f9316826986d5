"""The ledger keeps itself: entries number, hash and post themselves; nothing else writes a balance."""

from django.db import migrations

# Lock order: retailer, then account. Fills tenant, sequence, balances and hashes of the new entry.
POST = """
CREATE FUNCTION credit_ledger_hash(entry credit_ledgers) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT encode(sha256(convert_to(jsonb_build_array(
        entry.previous_hash, entry.account_id, entry.retailer_id, entry.vendor_id, entry.sequence,
        entry.transaction_type, entry.previous_balance::numeric(14,2), entry.amount::numeric(14,2),
        entry.running_balance::numeric(14,2), entry.key, entry.reference, entry.due_date,
        entry.reverses_id, entry.actor_id, entry.entry_number, entry.note, extract(epoch FROM entry.created_at)
    )::text, 'UTF8')), 'hex')
$$;
CREATE FUNCTION credit_ledger_post() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    account credit_accounts;
    mirrored credit_ledgers;
    latest timestamptz;
BEGIN
    SELECT * INTO account FROM credit_accounts WHERE id = NEW.account_id;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'no credit account %', NEW.account_id USING ERRCODE = 'foreign_key_violation';
    END IF;
    IF NEW.retailer_id <> account.retailer_id OR NEW.vendor_id <> account.vendor_id THEN
        RAISE EXCEPTION 'entry % is of another tenant than its account', NEW.key
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    UPDATE retailers SET outstanding_debt = outstanding_debt + NEW.amount WHERE id = account.retailer_id;
    SELECT * INTO account FROM credit_accounts WHERE id = NEW.account_id FOR NO KEY UPDATE;
    SELECT created_at INTO latest FROM credit_ledgers
        WHERE account_id = NEW.account_id AND sequence = account.last_sequence;
    IF NEW.created_at < latest THEN
        RAISE EXCEPTION 'entry % is dated before the entry it follows', NEW.key
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    IF NEW.reverses_id IS NOT NULL THEN
        SELECT * INTO mirrored FROM credit_ledgers WHERE id = NEW.reverses_id;
        IF mirrored.account_id <> NEW.account_id OR mirrored.amount <> -NEW.amount
            OR mirrored.reverses_id IS NOT NULL THEN
            RAISE EXCEPTION 'entry % is not the mirror of entry %', NEW.key, NEW.reverses_id
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END IF;
    NEW.retailer_id := account.retailer_id;
    NEW.vendor_id := account.vendor_id;
    NEW.sequence := account.last_sequence + 1;
    NEW.previous_balance := account.balance;
    NEW.running_balance := account.balance + NEW.amount;
    NEW.previous_hash := account.last_hash;
    NEW.hash := credit_ledger_hash(NEW);
    UPDATE credit_accounts
        SET balance = NEW.running_balance, last_sequence = NEW.sequence, last_hash = NEW.hash
        WHERE id = NEW.account_id;
    RETURN NEW;
END $$;
CREATE TRIGGER post BEFORE INSERT ON credit_ledgers
    FOR EACH ROW EXECUTE FUNCTION credit_ledger_post();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON credit_ledgers
    FOR EACH ROW EXECUTE FUNCTION khaacho_append_only();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON credit_ledgers
    FOR EACH STATEMENT EXECUTE FUNCTION khaacho_append_only();
"""
POST_REVERSE = """
DROP TRIGGER post ON credit_ledgers;
DROP TRIGGER append_only ON credit_ledgers;
DROP TRIGGER append_only_truncate ON credit_ledgers;
DROP FUNCTION credit_ledger_post();
DROP FUNCTION credit_ledger_hash(credit_ledgers);
"""

# A trigger that fires inside another has depth 2: only the ledger's own trigger gets that far.
BALANCES = """
CREATE FUNCTION credit_balance_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() < 2 THEN
        RAISE EXCEPTION 'balances of % are written by the ledger alone', TG_TABLE_NAME
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION credit_opening_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'a new row of % starts at zero', TG_TABLE_NAME
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER balance_guard BEFORE UPDATE OF balance, last_sequence, last_hash ON credit_accounts
    FOR EACH ROW WHEN (
        OLD.balance <> NEW.balance OR OLD.last_sequence <> NEW.last_sequence OR OLD.last_hash <> NEW.last_hash
    ) EXECUTE FUNCTION credit_balance_guard();
CREATE TRIGGER balance_guard BEFORE UPDATE OF outstanding_debt ON retailers
    FOR EACH ROW WHEN (OLD.outstanding_debt <> NEW.outstanding_debt) EXECUTE FUNCTION credit_balance_guard();
CREATE TRIGGER opening_guard BEFORE INSERT ON credit_accounts
    FOR EACH ROW WHEN (
        NEW.balance <> 0 OR NEW.reserved <> 0 OR NEW.last_sequence <> 0 OR NEW.last_hash <> ''
    ) EXECUTE FUNCTION credit_opening_guard();
CREATE TRIGGER opening_guard BEFORE INSERT ON retailers
    FOR EACH ROW WHEN (NEW.outstanding_debt <> 0 OR NEW.reserved_credit <> 0)
    EXECUTE FUNCTION credit_opening_guard();
CREATE FUNCTION credit_account_tenant_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an account keeps its retailer and vendor' USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER tenant_guard BEFORE UPDATE OF retailer_id, vendor_id ON credit_accounts
    FOR EACH ROW WHEN (OLD.retailer_id <> NEW.retailer_id OR OLD.vendor_id <> NEW.vendor_id)
    EXECUTE FUNCTION credit_account_tenant_guard();
"""
BALANCES_REVERSE = """
DROP TRIGGER balance_guard ON credit_accounts;
DROP TRIGGER balance_guard ON retailers;
DROP TRIGGER opening_guard ON credit_accounts;
DROP TRIGGER opening_guard ON retailers;
DROP TRIGGER tenant_guard ON credit_accounts;
DROP FUNCTION credit_balance_guard();
DROP FUNCTION credit_opening_guard();
DROP FUNCTION credit_account_tenant_guard();
"""

# A limit may be cut below today's exposure, so this cannot be a CHECK: what is refused is a rise.
RISE = """
CREATE FUNCTION credit_account_rise_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM credit_approvals
        WHERE account_id = NEW.id AND used_for IS NULL AND amount >= NEW.reserved - OLD.reserved
    ) THEN
        RAISE EXCEPTION 'account %: % + % is over the limit of %', NEW.id, NEW.balance, NEW.reserved, NEW.credit_limit
            USING ERRCODE = 'check_violation', CONSTRAINT = 'account_within_limit';
    END IF;
    RETURN NEW;
END $$;
CREATE FUNCTION credit_retailer_rise_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (
        SELECT FROM credit_approvals p JOIN credit_accounts a ON a.id = p.account_id
        WHERE a.retailer_id = NEW.id AND p.used_for IS NULL
            AND p.amount >= NEW.reserved_credit - OLD.reserved_credit
    ) THEN
        RAISE EXCEPTION 'retailer %: % + % is over the limit of %',
            NEW.id, NEW.outstanding_debt, NEW.reserved_credit, NEW.credit_limit
            USING ERRCODE = 'check_violation', CONSTRAINT = 'retailer_within_limit';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER rise_guard BEFORE UPDATE OF reserved ON credit_accounts
    FOR EACH ROW WHEN (
        NEW.reserved > OLD.reserved AND NEW.balance + NEW.reserved > NEW.credit_limit
    ) EXECUTE FUNCTION credit_account_rise_guard();
CREATE TRIGGER rise_guard BEFORE UPDATE OF reserved_credit ON retailers
    FOR EACH ROW WHEN (
        NEW.reserved_credit > OLD.reserved_credit
        AND NEW.outstanding_debt + NEW.reserved_credit > NEW.credit_limit
    ) EXECUTE FUNCTION credit_retailer_rise_guard();
"""
RISE_REVERSE = """
DROP TRIGGER rise_guard ON credit_accounts;
DROP TRIGGER rise_guard ON retailers;
DROP FUNCTION credit_account_rise_guard();
DROP FUNCTION credit_retailer_rise_guard();
"""

APPROVALS = """
CREATE FUNCTION credit_approval_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' OR OLD.used_for IS NOT NULL
        OR (OLD.account_id, OLD.amount, OLD.approved_by_id) IS DISTINCT FROM
           (NEW.account_id, NEW.amount, NEW.approved_by_id) THEN
        RAISE EXCEPTION 'an approval is used once and never changed'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER once BEFORE UPDATE OR DELETE ON credit_approvals
    FOR EACH ROW EXECUTE FUNCTION credit_approval_guard();
"""
APPROVALS_REVERSE = "DROP TRIGGER once ON credit_approvals; DROP FUNCTION credit_approval_guard();"

AUDIT = """
CREATE TRIGGER audit AFTER INSERT OR DELETE OR UPDATE OF user_id, shop_name, shop_name_ne, pan_number,
    address, municipality, district, province, is_approved, is_blocked, blocked_reason, credit_limit, deleted_at
    ON retailers FOR EACH ROW
    EXECUTE FUNCTION khaacho_audit('retailer', '{outstanding_debt,reserved_credit,credit_score}');
CREATE TRIGGER audit AFTER UPDATE OF credit_limit, payment_terms_days, is_frozen OR DELETE
    ON credit_accounts FOR EACH ROW
    EXECUTE FUNCTION khaacho_audit('credit_account', '{balance,reserved,last_sequence,last_hash}');
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON credit_limit_changes
    FOR EACH ROW EXECUTE FUNCTION khaacho_audit('limit_change', '{}');
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON credit_approvals
    FOR EACH ROW EXECUTE FUNCTION khaacho_audit('credit_approval', '{}');
"""
AUDIT_REVERSE = """
DROP TRIGGER audit ON retailers; DROP TRIGGER audit ON credit_accounts;
DROP TRIGGER audit ON credit_limit_changes; DROP TRIGGER audit ON credit_approvals;
"""

STORAGE = "ALTER TABLE credit_accounts SET (fillfactor = 70)"
STORAGE_REVERSE = "ALTER TABLE credit_accounts RESET (fillfactor)"


class Migration(migrations.Migration):
    dependencies = [("credit", "0002_relations"), ("khaacho", "0002_triggers")]
    operations = [
        migrations.RunSQL(POST, POST_REVERSE),
        migrations.RunSQL(BALANCES, BALANCES_REVERSE),
        migrations.RunSQL(RISE, RISE_REVERSE),
        migrations.RunSQL(APPROVALS, APPROVALS_REVERSE),
        migrations.RunSQL(AUDIT, AUDIT_REVERSE),
        migrations.RunSQL(STORAGE, STORAGE_REVERSE),
    ]

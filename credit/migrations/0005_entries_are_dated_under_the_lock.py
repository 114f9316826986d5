"""An entry that nobody dated gets its time when its turn comes, under the account's lock.

Its default is the time at which its statement began. One that then waited for the lock was older than
the entry it followed, and was refused: two deliveries to one shop at once, or a payment beside them.
"""

from django.db import migrations

POST = """
CREATE OR REPLACE FUNCTION credit_ledger_post() RETURNS trigger LANGUAGE plpgsql AS $$
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
@DATE@    SELECT created_at INTO latest FROM credit_ledgers
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
"""
DATE = """    IF NEW.created_at = statement_timestamp() THEN
        NEW.created_at := clock_timestamp();
    END IF;
"""


class Migration(migrations.Migration):
    dependencies = [("credit", "0004_account_opens_with_a_reservation")]
    operations = [migrations.RunSQL(POST.replace("@DATE@", DATE), POST.replace("@DATE@", ""))]

"""A pair's first order opens its account and reserves on it in one statement.

Balance, sequence and hash still start at zero; a reservation within the row's own limit may not.
"""

from django.db import migrations

FORWARD = """
DROP TRIGGER opening_guard ON credit_accounts;
CREATE TRIGGER opening_guard BEFORE INSERT ON credit_accounts
    FOR EACH ROW WHEN (
        NEW.balance <> 0 OR NEW.reserved > NEW.credit_limit OR NEW.last_sequence <> 0 OR NEW.last_hash <> ''
    ) EXECUTE FUNCTION credit_opening_guard();
"""
REVERSE = """
DROP TRIGGER opening_guard ON credit_accounts;
CREATE TRIGGER opening_guard BEFORE INSERT ON credit_accounts
    FOR EACH ROW WHEN (
        NEW.balance <> 0 OR NEW.reserved <> 0 OR NEW.last_sequence <> 0 OR NEW.last_hash <> ''
    ) EXECUTE FUNCTION credit_opening_guard();
"""


class Migration(migrations.Migration):
    dependencies = [("credit", "0003_triggers")]
    operations = [migrations.RunSQL(FORWARD, REVERSE)]

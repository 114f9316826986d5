"""Room for balances, and statistics that keep up: docs/adr/0013-storage-settings.md."""

from django.db import migrations

FORWARD = """
ALTER TABLE credit_accounts SET (fillfactor = 80);
ALTER TABLE retailers SET (fillfactor = 90);
ALTER TABLE credit_ledgers SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
"""
REVERSE = """
ALTER TABLE credit_accounts SET (fillfactor = 70);
ALTER TABLE retailers RESET (fillfactor);
ALTER TABLE credit_ledgers RESET (autovacuum_vacuum_scale_factor, autovacuum_vacuum_insert_scale_factor, autovacuum_analyze_scale_factor);
"""


class Migration(migrations.Migration):
    dependencies = [("credit", "0005_entries_are_dated_under_the_lock")]
    operations = [migrations.RunSQL(FORWARD, REVERSE)]

"""Room on each page for the answers under idempotency keys: docs/adr/0013-storage-settings.md."""

from django.db import migrations

FORWARD = """
ALTER TABLE idempotency_keys SET (fillfactor = 80);
"""
REVERSE = """
ALTER TABLE idempotency_keys RESET (fillfactor);
"""


class Migration(migrations.Migration):
    dependencies = [("khaacho", "0002_triggers")]
    operations = [migrations.RunSQL(FORWARD, REVERSE)]

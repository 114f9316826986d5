"""Statistics of payments that keep up: docs/adr/0013-storage-settings.md."""

from django.db import migrations

FORWARD = """
ALTER TABLE payments SET (autovacuum_analyze_scale_factor = 0.05);
"""
REVERSE = """
ALTER TABLE payments RESET (autovacuum_analyze_scale_factor);
"""


class Migration(migrations.Migration):
    dependencies = [("payments", "0002_triggers")]
    operations = [migrations.RunSQL(FORWARD, REVERSE)]

"""Room on each page for offers whose reservation changes: docs/adr/0013-storage-settings.md."""

from django.db import migrations

FORWARD = """
ALTER TABLE vendor_products SET (fillfactor = 80);
"""
REVERSE = """
ALTER TABLE vendor_products SET (fillfactor = 70);
"""


class Migration(migrations.Migration):
    dependencies = [("vendors", "0002_triggers")]
    operations = [migrations.RunSQL(FORWARD, REVERSE)]

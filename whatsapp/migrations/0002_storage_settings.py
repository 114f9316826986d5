"""Dead rows of messages go soon: docs/adr/0013-storage-settings.md."""

from django.db import migrations

FORWARD = """
ALTER TABLE whatsapp_messages SET (autovacuum_vacuum_scale_factor = 0.05);
"""
REVERSE = """
ALTER TABLE whatsapp_messages RESET (autovacuum_vacuum_scale_factor);
"""


class Migration(migrations.Migration):
    dependencies = [("whatsapp", "0001_initial")]
    operations = [migrations.RunSQL(FORWARD, REVERSE)]

"""The key of the audit log's months, built beside the old one while the table is in use."""

from django.db import migrations

FORWARD = (
    "SET statement_timeout = 0;",  # of a large table it takes minutes, and holds nobody up
    "SET lock_timeout = 0;",
    # of an attempt that was cut short an invalid index stays
    "DROP INDEX CONCURRENTLY IF EXISTS audit_logs_id_created_idx;",
    "CREATE UNIQUE INDEX CONCURRENTLY audit_logs_id_created_idx ON audit_logs (id, created_at);",
    "RESET statement_timeout;",
    "RESET lock_timeout;",
)
REVERSE = "DROP INDEX CONCURRENTLY IF EXISTS audit_logs_id_created_idx;"


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("khaacho", "0012_whatsapp_label")]
    operations = [migrations.RunSQL(FORWARD, REVERSE)]

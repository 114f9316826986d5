"""Rows that were there before 0014 are looked at, while everybody reads and writes: ATTACH then need not."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("khaacho", "0014_audit_bound")]
    operations = [
        migrations.RunSQL("SET LOCAL statement_timeout = 0;", migrations.RunSQL.noop),
        migrations.RunSQL(
            "ALTER TABLE audit_logs VALIDATE CONSTRAINT audit_logs_until;", migrations.RunSQL.noop
        ),
    ]

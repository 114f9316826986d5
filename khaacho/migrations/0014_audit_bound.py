"""No row of the audit log is later than its first partition will end. Rows that are there are not looked at yet.

That is the end of the current month in Kathmandu, or of the next one when less than three days are left:
until 0016 is applied, a row after it would be refused.
"""

from django.db import migrations

FORWARD = """
DO $$
DECLARE
    latest timestamptz;
    bound timestamptz;
BEGIN
    SELECT greatest(now() + interval '3 days', max(created_at)) INTO latest FROM audit_logs;
    IF latest > now() + interval '3 months' THEN
        RAISE EXCEPTION 'audit_logs has entries of %: a clock was wrong, and until then no month could be made.'
            ' Give them a date of their day, with the trigger append_only disabled, and migrate again', latest;
    END IF;
    bound := (date_trunc('month', latest AT TIME ZONE 'Asia/Kathmandu') + interval '1 month')
        AT TIME ZONE 'Asia/Kathmandu';
    EXECUTE format(
        'ALTER TABLE audit_logs ADD CONSTRAINT audit_logs_until CHECK (created_at < %L) NOT VALID', bound);
END $$;
"""
REVERSE = "ALTER TABLE audit_logs DROP CONSTRAINT IF EXISTS audit_logs_until;"


class Migration(migrations.Migration):
    dependencies = [("khaacho", "0013_audit_key")]
    operations = [
        # max(created_at) reads the table once, under a lock that holds nobody up
        migrations.RunSQL("SET LOCAL statement_timeout = 0;", migrations.RunSQL.noop),
        migrations.RunSQL(FORWARD, REVERSE),
    ]

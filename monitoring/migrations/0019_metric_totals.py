"""What /metrics counts: sums since the beginning, which no purge makes smaller."""

from django.db import migrations

FORWARD = """
CREATE TABLE metric_totals (
    kind text NOT NULL,
    name text NOT NULL,
    method text NOT NULL,
    outcome text NOT NULL,
    ended bigint NOT NULL,
    microseconds bigint NOT NULL,
    statements bigint NOT NULL,
    database_microseconds bigint NOT NULL,
    buckets jsonb NOT NULL,
    PRIMARY KEY (kind, name, method, outcome)
);
GRANT SELECT ON metric_totals TO pg_read_all_stats;
"""


class Migration(migrations.Migration):
    initial = True  # of this table: nothing here touches one that is in use

    dependencies = [("monitoring", "0018_backup_rules")]

    operations = [migrations.RunSQL(FORWARD, "DROP TABLE metric_totals;")]

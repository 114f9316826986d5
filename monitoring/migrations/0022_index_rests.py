"""Since when each index rests (monitoring/history/rests.py), of the samples that there are."""

from django.db import migrations

TABLE = """
CREATE TABLE index_rests (
    indexrelid oid PRIMARY KEY,
    since timestamptz NOT NULL,
    until timestamptz NOT NULL,
    scans bigint NOT NULL,
    samples int NOT NULL
);
GRANT SELECT ON index_rests TO pg_read_all_stats;
"""
FILL = """
WITH step AS (
    SELECT indexrelid, sampled_at, scans,
        coalesce(scans NOT IN (lag(scans) OVER w, 0)
            OR sampled_at - lag(sampled_at) OVER w > interval '1 day', true) AS begins
    FROM index_samples WINDOW w AS (PARTITION BY indexrelid ORDER BY sampled_at)
), rest AS (
    SELECT *, max(sampled_at) FILTER (WHERE begins) OVER (PARTITION BY indexrelid) AS since,
        max(sampled_at) OVER (PARTITION BY indexrelid) AS until
    FROM step
)
INSERT INTO index_rests
SELECT indexrelid, since, until, max(scans) FILTER (WHERE sampled_at = until),
    count(*) FILTER (WHERE sampled_at >= since)
FROM rest GROUP BY indexrelid, since, until;
"""


class Migration(migrations.Migration):
    initial = True  # of this table: nothing here touches one that is in use

    dependencies = [("monitoring", "0021_leaner_views")]

    operations = [
        migrations.RunSQL(TABLE, "DROP TABLE index_rests;"),
        migrations.RunSQL(FILL, migrations.RunSQL.noop),
    ]

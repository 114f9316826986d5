"""Sums of three hours of statements (monitoring/history/sums.py). The first sample after this fills them."""

from django.db import migrations

FORWARD = """
CREATE TABLE statement_sums (
    until timestamptz NOT NULL,
    queryid bigint NOT NULL,
    calls bigint NOT NULL,
    rows bigint NOT NULL,
    exec_ms double precision NOT NULL,
    exec_ms_squares double precision NOT NULL,
    max_ms double precision,
    plan_ms double precision NOT NULL,
    blocks_hit bigint NOT NULL,
    blocks_read bigint NOT NULL,
    blocks_dirtied bigint NOT NULL,
    temp_blocks bigint NOT NULL,
    io_ms double precision NOT NULL,
    jit_ms double precision NOT NULL,
    wal_bytes bigint NOT NULL,
    PRIMARY KEY (queryid, until)
);
CREATE INDEX statement_sum_until_idx ON statement_sums (until);
GRANT SELECT ON statement_sums TO pg_read_all_stats;
"""


class Migration(migrations.Migration):
    initial = True  # of this table: nothing here touches one that is in use

    dependencies = [("monitoring", "0019_metric_totals")]

    operations = [migrations.RunSQL(FORWARD, "DROP TABLE statement_sums;")]

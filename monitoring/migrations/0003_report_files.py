"""Files of reports as chunks of bytes; they go with their report. Compressed formats are not compressed again."""

from django.db import migrations

FORWARD = """
CREATE TABLE report_files (
    report_id bigint NOT NULL REFERENCES reports (id) ON DELETE CASCADE,
    number integer NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (report_id, number),
    CONSTRAINT report_file_number CHECK (number >= 0),
    CONSTRAINT report_file_chunk CHECK (octet_length(content) BETWEEN 1 AND 1048576)
);
ALTER TABLE report_files ALTER COLUMN content SET STORAGE EXTERNAL;
"""
REVERSE = "DROP TABLE report_files;"


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0002_reports")]
    operations = [migrations.RunSQL(FORWARD, REVERSE)]

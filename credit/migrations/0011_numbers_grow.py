"""Numbers for people grow longer when they must; lpad cut them, and the next one was taken already."""

from django.db import migrations

FORWARD = """
ALTER TABLE credit_ledgers ALTER COLUMN entry_number SET DEFAULT
    ('LED-' || to_char(now() AT TIME ZONE 'Asia/Kathmandu', 'YYYY') || '-' || to_char(nextval('ledger_number_seq'), 'FM999999999990000000'));
ALTER TABLE retailers ALTER COLUMN code SET DEFAULT
    ('RTL-' || to_char(nextval('retailer_code_seq'), 'FM999999999999000000'));
"""
REVERSE = """
ALTER TABLE credit_ledgers ALTER COLUMN entry_number SET DEFAULT
    ('LED-' || to_char(now() AT TIME ZONE 'Asia/Kathmandu', 'YYYY') || '-' || lpad(nextval('ledger_number_seq')::text, 7, '0'));
ALTER TABLE retailers ALTER COLUMN code SET DEFAULT
    ('RTL-' || lpad(nextval('retailer_code_seq')::text, 6, '0'));
"""


class Migration(migrations.Migration):
    dependencies = [("credit", "0010_statement_index")]
    operations = [migrations.RunSQL(FORWARD, REVERSE)]

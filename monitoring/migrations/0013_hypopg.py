"""HypoPG, where the server has it and the role may: with it the advisor's indexes are verified.

Nothing depends on it. Where it cannot be created, an operator does it later, as a superuser, in this
database: CREATE EXTENSION hypopg (docs/monitoring-advice.md).
"""

from django.db import migrations

FORWARD = """
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS hypopg;
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE 'without hypopg, advice about indexes is only a hint';
END $$;
"""


class Migration(migrations.Migration):
    dependencies = [("monitoring", "0012_index_advice")]

    operations = [migrations.RunSQL(FORWARD, migrations.RunSQL.noop)]

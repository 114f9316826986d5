"""The words of the products that are there already."""

from django.db import migrations

FILL = """
INSERT INTO catalogue_words (word)
SELECT DISTINCT said.word
FROM products CROSS JOIN LATERAL unnest(product_words(name, name_ne, aliases, brand, sku)) AS said (word)
WHERE said.word !~ '^[0-9]+$'
    AND NOT EXISTS (SELECT FROM catalogue_words AS known WHERE known.word = said.word)
"""


class Migration(migrations.Migration):
    dependencies = [("vendors", "0005_catalogue_words")]
    operations = [migrations.RunSQL(FILL, migrations.RunSQL.noop)]

"""The words that people search products by: functions that find them, and a list of all of them.

`catalogue_words` is what a mistyped word is compared with: some ten thousand short words instead of a
hundred thousand long texts. Triggers add to it what a product brings. A word that no product has any
more stays and finds nothing; one that two transactions add at once is there twice, so that neither
waits for the other.
"""

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import migrations, models

# Bodies are parsed here, so that a restore or an index build finds what they call on any search_path.
# Restricted, so that a search takes one core and starts no workers: it is over before they have begun.
WORDS_OF = """
CREATE FUNCTION words_of(text) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL RESTRICTED COST 5000
BEGIN ATOMIC
    SELECT coalesce(array_agg(word[1] ORDER BY n), '{}')
    FROM regexp_matches(
        translate(
            lower(normalize($1, NFC)),
            U&'\\0966\\0967\\0968\\0969\\096A\\096B\\096C\\096D\\096E\\096F\\0964\\0965\\200C\\200D\\FEFF',
            '0123456789  '
        ),
        '[0-9]+|[a-z\\u00df-\\u1fff]+',
        'g'
    ) WITH ORDINALITY AS found (word, n);
END;
COMMENT ON FUNCTION words_of(text) IS
    'Words in their order: NFC, small letters, vowel signs kept, Nepali digits as 0-9, 25kg as 25 and kg.';
"""
PRODUCT_WORDS = """
CREATE FUNCTION product_words(name text, name_ne text, aliases text, brand text, sku text) RETURNS text[]
    LANGUAGE sql IMMUTABLE STRICT PARALLEL RESTRICTED COST 5000
BEGIN ATOMIC
    SELECT words_of(name || ' ' || name_ne || ' ' || aliases || ' ' || brand || ' ' || sku);
END;
COMMENT ON FUNCTION product_words(text, text, text, text, text) IS 'Words that a product is found by.';
"""
FUNCTIONS_REVERSE = """
DROP FUNCTION product_words(text, text, text, text, text); DROP FUNCTION words_of(text);
"""

# A table of the database alone: nothing but the statements of vendors/search.py reads it.
TABLE = migrations.CreateModel(
    "CatalogueWord",
    fields=[
        ("id", models.BigAutoField(primary_key=True)),
        ("word", models.TextField(db_collation="C")),
    ],
    options={
        "db_table": "catalogue_words",
        "indexes": [
            # a word known or not, and those that begin with it
            models.Index(fields=["word"], name="catalogue_words_word_idx"),
            # those alike
            GinIndex(OpClass("word", name="gin_trgm_ops"), name="catalogue_words_trgm_idx"),
        ],
    },
)

# Every candidate is looked up by an index, although the planner thinks that similarity costs no more than
# a comparison and would read all; and the threshold is the same on every pooled connection.
WORDS_ALIKE = """
CREATE FUNCTION words_alike(typed text, edits integer, most integer) RETURNS SETOF text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE ROWS 50
    SET enable_seqscan = off SET enable_indexscan = off SET enable_indexonlyscan = off
    SET pg_trgm.similarity_threshold = 0.3
BEGIN ATOMIC
    (SELECT word FROM catalogue_words WHERE word % typed
        ORDER BY similarity(word, typed) DESC, word LIMIT most)
    UNION ALL
    (SELECT word FROM catalogue_words
        WHERE word >= left(typed, 1) AND word < left(typed, 1) || U&'\\+10FFFF'
            AND length(word) BETWEEN length(typed) - edits AND length(typed) + edits
        ORDER BY similarity(word, typed) DESC, word LIMIT most);
END;
COMMENT ON FUNCTION words_alike(text, integer, integer) IS
    'Known words that share trigrams with the typed one, then those of its first letter and length; most alike first.';
"""
WORDS_ALIKE_REVERSE = "DROP FUNCTION words_alike(text, integer, integer)"

TRIGGERS = """
CREATE FUNCTION catalogue_words_add() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO catalogue_words (word)
    SELECT DISTINCT said.word
    FROM changed
        CROSS JOIN LATERAL unnest(
            product_words(changed.name, changed.name_ne, changed.aliases, changed.brand, changed.sku)
        ) AS said (word)
    WHERE said.word !~ '^[0-9]+$'
        AND NOT EXISTS (SELECT FROM catalogue_words AS known WHERE known.word = said.word);
    RETURN NULL;
END $$;
CREATE TRIGGER words_inserted AFTER INSERT ON products REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalogue_words_add();
CREATE TRIGGER words_updated AFTER UPDATE ON products REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION catalogue_words_add();
"""
TRIGGERS_REVERSE = """
DROP TRIGGER words_inserted ON products; DROP TRIGGER words_updated ON products;
DROP FUNCTION catalogue_words_add();
"""


class Migration(migrations.Migration):
    dependencies = [("vendors", "0004_catalogue_order")]
    operations = [
        migrations.RunSQL(WORDS_OF + PRODUCT_WORDS, FUNCTIONS_REVERSE),
        migrations.SeparateDatabaseAndState(database_operations=[TABLE]),
        migrations.RunSQL(WORDS_ALIKE, WORDS_ALIKE_REVERSE),
        migrations.RunSQL(TRIGGERS, TRIGGERS_REVERSE),
    ]

"""Append-only tables, and audit entries for every edit of a row, whoever makes it and however."""

from django.db import migrations

APPEND_ONLY = """
CREATE FUNCTION khaacho_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE FUNCTION khaacho_never_deleted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are financial records: % refused', TG_TABLE_NAME, TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON audit_logs
    FOR EACH ROW EXECUTE FUNCTION khaacho_append_only();
CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON audit_logs
    FOR EACH STATEMENT EXECUTE FUNCTION khaacho_append_only();
"""
APPEND_ONLY_REVERSE = """
DROP TRIGGER append_only ON audit_logs;
DROP TRIGGER append_only_truncate ON audit_logs;
DROP FUNCTION khaacho_append_only();
DROP FUNCTION khaacho_never_deleted();
"""

# Arguments of the trigger: the entity's name, and the columns that are left out.
AUDIT = """
CREATE FUNCTION khaacho_audit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    old_row jsonb := '{}';
    new_row jsonb := '{}';
    old_diff jsonb;
    new_diff jsonb;
BEGIN
    IF TG_OP <> 'INSERT' THEN old_row := to_jsonb(OLD) - TG_ARGV[1]::text[]; END IF;
    IF TG_OP <> 'DELETE' THEN new_row := to_jsonb(NEW) - TG_ARGV[1]::text[]; END IF;
    IF old_row = new_row THEN RETURN NULL; END IF;
    SELECT coalesce(jsonb_object_agg(key, value), '{}') INTO old_diff
        FROM jsonb_each(old_row) WHERE new_row -> key IS DISTINCT FROM value;
    SELECT coalesce(jsonb_object_agg(key, value), '{}') INTO new_diff
        FROM jsonb_each(new_row) WHERE old_row -> key IS DISTINCT FROM value;
    INSERT INTO audit_logs (user_id, action, entity_type, entity_id, old_values, new_values, reason)
    VALUES (
        nullif(current_setting('khaacho.actor', true), '')::bigint,
        TG_ARGV[0] || CASE TG_OP WHEN 'INSERT' THEN '.created' WHEN 'UPDATE' THEN '.updated' ELSE '.deleted' END,
        TG_ARGV[0],
        (coalesce(new_row -> 'id', old_row -> 'id'))::bigint,
        CASE WHEN TG_OP = 'INSERT' THEN '{}' ELSE old_diff END,
        new_diff,
        coalesce(current_setting('khaacho.reason', true), '')
    );
    RETURN NULL;
END $$;
CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON users
    FOR EACH ROW EXECUTE FUNCTION khaacho_audit('user', '{password,last_login}');
"""
AUDIT_REVERSE = "DROP TRIGGER audit ON users; DROP FUNCTION khaacho_audit();"


class Migration(migrations.Migration):
    dependencies = [("khaacho", "0001_initial")]
    operations = [
        migrations.RunSQL(APPEND_ONLY, APPEND_ONLY_REVERSE),
        migrations.RunSQL(AUDIT, AUDIT_REVERSE),
    ]

-- The roles of a production database, once, by a superuser:
--   psql -v ON_ERROR_STOP=1 -d khaacho -f deploy/postgresql/roles.sql
-- It makes no passwords: \password khaacho in psql, or ALTER ROLE ... PASSWORD from a file that only root reads.

-- Owns every table and runs the site. No superuser: it can neither read files nor load code.
SELECT 'CREATE ROLE khaacho LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'khaacho') \gexec
SELECT format('ALTER DATABASE %I OWNER TO khaacho', current_database()) \gexec
ALTER SCHEMA public OWNER TO khaacho;

-- PgBouncer passes no options at the start of a session, so the role has them (DB_SESSION_TIMEOUTS=false). Migrations and
-- commands that go around PgBouncer set their own.
ALTER ROLE khaacho SET statement_timeout = '30s';
ALTER ROLE khaacho SET lock_timeout = '3s';
ALTER ROLE khaacho SET idle_in_transaction_session_timeout = '15s';

-- Reads PostgreSQL's statistics for the monitoring (MONITOR_DATABASE_URL), and no table.
SELECT 'CREATE ROLE khaacho_monitor LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'khaacho_monitor') \gexec
GRANT pg_read_all_stats TO khaacho_monitor;
GRANT pg_read_all_stats TO khaacho;   -- the site's own pages, while MONITOR_DATABASE_URL is not set
ALTER ROLE khaacho_monitor SET default_transaction_read_only = on;

-- Only streams WAL: replicas and base backups.
SELECT 'CREATE ROLE khaacho_replication LOGIN REPLICATION' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'khaacho_replication') \gexec

-- Needs a superuser, so migrations cannot make it.
CREATE EXTENSION IF NOT EXISTS pg_stat_statements;
-- Trusted, but made here so that the first migration needs no right to create extensions.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

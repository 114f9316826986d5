#!/bin/bash
# Run once by the postgres image on an empty volume: roles with their passwords, who may connect from where.
set -euo pipefail
psql -v ON_ERROR_STOP=1 -U postgres -d khaacho -f /etc/khaacho/roles.sql
# By standard input: an argument would be in the list of processes.
psql -v ON_ERROR_STOP=1 -U postgres -d khaacho <<SQL
ALTER ROLE khaacho PASSWORD '$(cat /run/secrets/khaacho_database)';
ALTER ROLE khaacho_replication PASSWORD '$(cat /run/secrets/khaacho_replication)';
SQL
# Only Khaacho's roles, only into Khaacho's database, only by SCRAM; the superuser only from inside the container.
cat > "$PGDATA/pg_hba.conf" <<'HBA'
local all         postgres                          peer
host  khaacho     khaacho             samenet       scram-sha-256
host  khaacho     khaacho_monitor     samenet       scram-sha-256
host  replication khaacho_replication samenet       scram-sha-256
HBA

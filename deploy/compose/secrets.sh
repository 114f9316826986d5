#!/bin/sh
# Makes secrets/ for compose.yaml, once: random passwords in files that only their owner reads. What is there stays.
set -eu
cd "$(dirname "$0")/../.."
umask 077
mkdir -p secrets

random() { python3 -c 'import secrets; print(secrets.token_urlsafe(32), end="")'; }
keep() { [ -s "secrets/$1" ] || { random > "secrets/$1"; echo "made secrets/$1"; }; }

for name in postgres_superuser khaacho_database khaacho_replication redis secret_key; do keep "$name"; done
database=$(cat secrets/khaacho_database)
redis=$(cat secrets/redis)
[ -s secrets/pgbouncer_users ] || printf '"khaacho" "%s"\n' "$database" > secrets/pgbouncer_users
[ -s secrets/direct.env ] || printf 'DATABASE_URL=postgresql://khaacho:%s@postgres:5432/khaacho\nDB_PGBOUNCER=false\nDB_SESSION_TIMEOUTS=true\n' "$database" > secrets/direct.env
[ -s secrets/khaacho.env ] || cat > secrets/khaacho.env <<ENV
# Made by deploy/compose/secrets.sh; .env.example explains each line and what else there is.
SECRET_KEY=$(cat secrets/secret_key)
DATABASE_URL=postgresql://khaacho:$database@pgbouncer:6432/khaacho
DATABASE_DIRECT_URL=postgresql://khaacho:$database@postgres:5432/khaacho
REDIS_URL=redis://:$redis@queues:6379/0
CACHE_URL=redis://:$redis@cache:6379/0
ALLOWED_HOSTS=localhost,127.0.0.1
SECURE_TLS=false
# With the profile scale, lists and reports are read from the replica:
#DATABASE_REPLICA_URL=postgresql://khaacho:$database@replica:5432/khaacho
ENV
# The accounts inside the containers read them: PgBouncer is 10002, PostgreSQL and Redis are 999.
if [ "$(id -u)" = 0 ]; then
    chown 10002 secrets/pgbouncer_users
    chown 999 secrets/redis secrets/postgres_superuser secrets/khaacho_database secrets/khaacho_replication
else
    echo "not root: sudo chown 10002 secrets/pgbouncer_users;" \
        "sudo chown 999 secrets/redis secrets/postgres_superuser secrets/khaacho_database secrets/khaacho_replication" >&2
fi
echo "secrets/ is complete; edit ALLOWED_HOSTS in secrets/khaacho.env"

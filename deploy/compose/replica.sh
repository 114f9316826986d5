#!/bin/bash
# The replica's entry point: copies the primary once, then follows it. An interrupted copy is begun anew.
set -euo pipefail
data=/var/lib/postgresql/data/replica
if [ "$(id -u)" = 0 ]; then
    chown postgres:postgres /var/lib/postgresql/data
    install -o postgres -g postgres -m 0600 /run/secrets/khaacho_replication /tmp/password
    exec gosu postgres bash "$0"
fi
printf 'postgres:5432:*:khaacho_replication:%s\n' "$(cat /tmp/password)" > /tmp/pgpass
chmod 0600 /tmp/pgpass
export PGPASSFILE=/tmp/pgpass
if [ ! -e "$data/standby.signal" ]; then
    rm -rf "$data.new"
    # Without a slot: a replica that is gone must not fill the primary's disk. wal_keep_size covers a break.
    pg_basebackup -h postgres -U khaacho_replication -D "$data.new" -X stream -R --checkpoint=fast
    rm -rf "$data"
    mv "$data.new" "$data"
fi
exec postgres -D "$data" -c config_file=/etc/khaacho/khaacho.conf -c 'listen_addresses=*'

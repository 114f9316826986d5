#!/bin/sh
# base_backup.sh BASES [WAL [KEEP]]: copies the whole cluster, verified, to begin a recovery from.
# With WAL, the archive's directory, only the KEEP newest copies stay (2), and the WAL that they need.
# The server is found by PGHOST, PGPORT, PGUSER and .pgpass; the role needs REPLICATION. docs/backups.md
set -eu
if [ $# -lt 1 ] || [ $# -gt 3 ]; then
    sed -n '2,4s/^# //p' "$0" >&2
    exit 2
fi
bases=$1 wal=${2:-} keep=${3:-2}
case $keep in
    '' | *[!0-9]* | 0) echo "base_backup: KEEP is a number of 1 or more" >&2; exit 2 ;;
esac
mkdir -p "$bases"
draft=$bases/.khaacho_base.$$.partial
trap 'rm -rf "$draft"' EXIT
trap 'exit 143' TERM INT

pg_basebackup --pgdata="$draft" --format=plain --wal-method=stream --checkpoint=fast \
    --manifest-checksums=SHA256 --no-password
# Debian keeps it out of PATH, beside the server of its version.
PATH="$PATH:/usr/lib/postgresql/$(cat "$draft/PG_VERSION")/bin"
pg_verifybackup --quiet "$draft"
sync
# The moment from which on it can be recovered to: pg_basebackup has ended.
name=khaacho_base_$(date -u +%Y-%m-%d_%H-%M-%S)
mv "$draft" "$bases/$name"
sync "$bases"
echo "$bases/$name ($(du -sh "$bases/$name" | cut -f1)) is verified"

[ -n "$wal" ] || exit 0
find "$bases" -maxdepth 1 -type d -name 'khaacho_base_????-??-??_??-??-??' | sort -r | tail -n +$((keep + 1)) |
    while read -r old; do
        rm -rf "$old"
        echo "forgot $old"
    done
oldest=$(find "$bases" -maxdepth 1 -type d -name 'khaacho_base_????-??-??_??-??-??' | sort | head -n 1)
first=$(sed -n 's/^START WAL LOCATION: .*(file \([0-9A-F]*\))$/\1/p' "$oldest/backup_label")
pg_archivecleanup "$wal" "$first"
echo "kept the WAL from $first on"

#!/bin/sh
# restore_to.sh TIME DATA BASES WAL: makes a data directory that recovers to a moment when it is started.
#   restore_to.sh '2026-11-27 14:03:07+05:45' /var/lib/postgresql/15/main /mnt/archive/base /mnt/archive/wal
# TIME is of a clock with its offset; DATA must be empty or not there; run it as the server's user. docs/backups.md
set -eu
if [ $# -ne 4 ]; then
    sed -n '2,4s/^# *//p' "$0" >&2
    exit 2
fi
moment=$1 data=$2 bases=$3 wal=$4
refuse() {
    echo "restore_to: $1" >&2
    exit 1
}
# a path stands in quotes within quotes of a setting
case "$wal" in *[\'\"\\%]*) refuse "WAL may not have quotes, backslashes or % in its path" ;; esac
at=$(date -u -d "$moment" +%s) || refuse "TIME is not understood: $moment"
exact=$(date -u -d "$moment" '+%Y-%m-%d %H:%M:%S.%6N+00')
[ -d "$wal" ] || refuse "$wal is not there"
if [ -e "$data" ] && [ -n "$(ls -A "$data")" ]; then
    refuse "$data is not empty: move it away first; what it holds may be worth a look"
fi

chosen=
for base in $(find "$bases" -maxdepth 1 -type d -name 'khaacho_base_????-??-??_??-??-??' | sort); do
    stamp=$(basename "$base" | sed 's/khaacho_base_\(.*\)_\(..\)-\(..\)-\(..\)/\1 \2:\3:\4/')
    [ "$(date -u -d "$stamp UTC" +%s)" -le "$at" ] && chosen=$base
done
[ -n "$chosen" ] || refuse "no base backup in $bases ended before $exact"
# Debian keeps its programs out of PATH, beside the server of their version.
PATH="$PATH:/usr/lib/postgresql/$(cat "$chosen/PG_VERSION")/bin"
echo "checking $chosen"
pg_verifybackup --quiet "$chosen" || refuse "$chosen is damaged: move it away, an older one may do"

mkdir -p "$data"
cp -a "$chosen/." "$data/"
chmod 700 "$data"
rm -f "$data/postmaster.pid" "$data/standby.signal"
cat >>"$data/postgresql.auto.conf" <<SETTINGS
restore_command = 'cp "$wal/%f" "%p"'
recovery_target_time = '$exact'
recovery_target_timeline = 'latest'
recovery_target_action = 'promote'
SETTINGS
: >"$data/recovery.signal"
sync
echo "$data recovers to $exact when PostgreSQL is started on it."
echo "It has ended when this says f:  psql -Atc 'SELECT pg_is_in_recovery()'"
echo "Then, so that a later recovery is not held at this moment:"
echo "  psql -c 'ALTER SYSTEM RESET recovery_target_time' -c 'ALTER SYSTEM RESET restore_command'"

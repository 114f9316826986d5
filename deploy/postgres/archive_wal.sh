#!/bin/sh
# PostgreSQL's archive_command: copies one file of WAL so that it is there whole, on the disk, and never twice.
#   archive_command = '/opt/khaacho/deploy/postgres/archive_wal.sh "%p" "%f" /mnt/archive/wal'
# An exit code other than 0 makes PostgreSQL keep the file and ask again. docs/backups.md
set -eu
if [ $# -ne 3 ]; then
    echo "archive_wal: SOURCE NAME ARCHIVE" >&2
    exit 2
fi
source=$1 name=$2 archive=$3
target=$archive/$name

if [ ! -d "$archive" ]; then
    echo "archive_wal: $archive is not there: is its disk mounted?" >&2
    exit 1
fi
if [ -e "$target" ]; then
    # After a crash the server asks again for what is archived; anything else of that name is another cluster's.
    if cmp -s "$source" "$target"; then
        sync "$target" "$archive"
        exit 0
    fi
    echo "archive_wal: $target exists and is another file: not overwritten" >&2
    exit 1
fi
draft=$archive/.$name.$$.partial
trap 'rm -f "$draft"' EXIT
cp "$source" "$draft"
sync "$draft"
ln "$draft" "$target" # unlike a rename it fails where somebody was faster
sync "$archive"

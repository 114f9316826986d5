#!/bin/sh
# Brings a release out while the site works; docs/releases.md explains it. `deploy/release.sh --help`
set -eu

usage() {
    cat <<'END'
deploy/release.sh [--dry-run] [--preflight] [--skip=STEP]... NAME

Brings out the code that lies in place, under NAME (a version, a commit), while the site works. Going back is the
same command with the previous code in place: migrations are not reversed.

  check      manage.py check --deploy; with --preflight the production checklist too
  static     manage.py collectstatic: pages of the old code see the new styles for a moment
  migrate    manage.py migrate_live, past PgBouncer, while the old code serves; then sync_groups
  web        deploy/rolling.sh: one web process after another
  workers    one after another: SIGTERM, its jobs end or are handed back, it answers again
  beat       sync_schedules, and beat
  mark       manage.py release_marker NAME
  verify     manage.py verify: the books

  --dry-run     only say what each step would run
  --preflight   do not begin while `manage.py preflight` is red (but for what this release's migrations bring)
  --skip=STEP   leave a step out

Exit codes: 0 done, 2 wrong arguments, 3 the check, 4 static files, 5 a migration failed, 6 a migration did not get its
lock, 7 web, 8 workers, 9 beat, 10 the mark, 11 the books. Each says what stands and what to do.

In the environment: SETTINGS (/etc/khaacho/khaacho.env), VENV (/opt/khaacho/venv), STATIC_ROOT (/opt/khaacho/static), WORKERS
(messages trade reports), MIGRATE (options of migrate_live); PORTS, DRAINING, READY_SECONDS as rolling.sh has them. For other
ways to run the site: MANAGE instead of manage.py as the user khaacho; RESTART (number, port), RESTART_WORKER (name)
and RESTART_BEAT instead of systemctl: each returns once what it restarted works.
END
}

wrong() {
    echo "release: $1" >&2
    usage >&2
    exit 2
}

steps='check static migrate web workers beat mark verify'
dry='' preflight='' skipped=' ' name=''
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --dry-run) dry=1 ;;
        --preflight) preflight=1 ;;
        --skip=*)
            step=${1#--skip=}
            case " $steps " in *" $step "*) skipped="$skipped$step " ;; *) wrong "there is no step $step" ;; esac
            ;;
        -*) wrong "there is no option $1" ;;
        *) [ -z "$name" ] || wrong "one name, not $name and $1"; name=$1 ;;
    esac
    shift
done
[ -n "$name" ] || wrong 'what is the release called?'

cd "$(dirname "$0")/.."
settings=${SETTINGS:-/etc/khaacho/khaacho.env}
venv=${VENV:-/opt/khaacho/venv}

say() {
    if [ -n "$dry" ]; then echo "release: $1"; else echo "release: $1" >&2; fi
}

# Do it, or say that it would be done.
try() {
    if [ -z "$dry" ]; then "$@"; else echo "    $*"; fi
}

# A program of the site as its user, with its settings, past PgBouncer.
as_khaacho() (
    set -a
    . "$settings"
    DATABASE_URL=${DATABASE_DIRECT_URL:-$DATABASE_URL} DB_PGBOUNCER=false DB_POOL_MAX=0
    STATIC_ROOT=${STATIC_ROOT:-/opt/khaacho/static}
    exec runuser -u khaacho --preserve-environment -- "$@"
)

manage() {
    if [ -n "$dry" ]; then
        echo "    ${MANAGE:-manage.py} $*"
    elif [ -n "${MANAGE:-}" ]; then
        $MANAGE "$@"
    else
        as_khaacho "$venv/bin/python" manage.py "$@"
    fi
}

restart_worker() {
    if [ -n "${RESTART_WORKER:-}" ]; then
        try $RESTART_WORKER "$1"
        return
    fi
    try systemctl restart "khaacho-worker@$1.service" || return 1
    tries=0
    until [ -n "$dry" ] ||
        as_khaacho "$venv/bin/celery" -A khaacho inspect ping -t 2 -d "$1@$(hostname)" >/dev/null 2>&1; do
        tries=$((tries + 1))
        [ "$tries" -lt 20 ] || return 1
        sleep 1
    done
}

restart_beat() {
    if [ -n "${RESTART_BEAT:-}" ]; then
        try $RESTART_BEAT
        return
    fi
    try systemctl restart khaacho-beat.service && try sleep 3 && try systemctl is-active --quiet khaacho-beat.service
}

# begin STEP SENTENCE: false when the step is left out.
begin() {
    case $skipped in *" $1 "*) say "$1: left out"; return 1 ;; esac
    say "$1: $2"
}

failed() {
    say "FAILED: $2"
    exit "$1"
}

unchanged="Nothing was changed and the old code serves. Mend what is said above, or put the previous code back in place."
mixed="The schema is the new one, which both releases can work with, so there is no hurry.
Forward: mend it and run the same command again; what is done already does no harm twice. Back: put the previous
code in place and run this command with its name; do not reverse migrations."

if begin check 'is everything there that this code needs?'; then
    manage check --deploy || failed 3 "$unchanged"
    if [ -n "$preflight" ]; then
        manage preflight --skip migrations --skip indexes --skip groups --skip schedules || failed 3 "$unchanged"
    fi
fi

if begin static 'styles and pictures of the new release'; then
    manage collectstatic --noinput -v0 ||
        failed 4 "The old code serves; its pages may have the new styles. Mend it and run the same command again, or put the previous code back."
fi

if begin migrate 'the schema grows while the old code serves'; then
    code=0
    # shellcheck disable=SC2086 # options, several
    manage migrate_live ${MIGRATE:-} || code=$?
    case $code in
        0) ;;
        3) failed 6 "A migration always gave way to somebody's long transaction. The old code serves, and whatever is applied suits it.
Run the same command again when that transaction has ended, or at a quieter hour; or put the previous code back." ;;
        *) failed 5 "A migration failed; what stands is said above. The old code serves, and whatever is applied suits it.
Put the previous code back in place before anything is restarted, mend the migration, and begin again." ;;
    esac
    manage sync_groups || failed 5 "The groups were not set; the schema is the new one and the old code serves. Mend it and run the same command again."
fi

if begin web 'one web process after another'; then
    try sh deploy/rolling.sh || failed 7 "A web process did not come back; the other serves on. Its journal says why.
$mixed"
fi

if begin workers 'one worker after another'; then
    for worker in ${WORKERS:-messages trade reports}; do
        restart_worker "$worker" || failed 8 "The worker $worker did not come back. Its jobs wait in PostgreSQL and none is lost; its journal says why.
$mixed"
        [ -n "$dry" ] || say "worker $worker is restarted and answers"
    done
fi

if begin beat 'the schedules, and the clock'; then
    { manage sync_schedules && restart_beat; } || failed 9 "Beat did not come back: nothing happens by the clock until it does. Its journal says why.
$mixed"
fi

if begin mark 'for the charts'; then
    manage release_marker "$name" || failed 10 "The release is out and serves; only its mark is missing: manage.py release_marker \"$name\"."
fi

if begin verify 'the books'; then
    manage verify || failed 11 "The release is out and the books do not add up, be it by this release or before: docs/runbook.md, \"An invariant is violated\".
Going back does not mend them; it is right if this release made it."
fi

if [ -n "$dry" ]; then say "that is all; nothing was done"; else say "$name is out"; fi

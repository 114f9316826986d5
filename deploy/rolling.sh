#!/bin/sh
# Restarts the web processes of this machine one after another, without a failed request: nginx is told to leave one alone (a file,
# no reload), its requests end, it is restarted, it says that it is ready, nginx sends to it again.
#   deploy/rolling.sh                                    the units khaacho-web@8001 and khaacho-web@8002
# RESTART, DRAINING, PORTS in the environment for other ways to run them: RESTART is called with the number and the port.
set -eu

ports=${PORTS:-8001 8002}
draining=${DRAINING:-/run/khaacho-draining}
ready_seconds=${READY_SECONDS:-60}

restart() {
    if [ -n "${RESTART:-}" ]; then $RESTART "$1" "$2"; else systemctl restart "khaacho-web@$2.service"; fi
}

is_ready() {
    python3 -c 'import sys, urllib.request as u; u.urlopen("http://127.0.0.1:" + sys.argv[1] + "/readyz", timeout=3)' \
        "$1" 2>/dev/null
}

mkdir -p "$draining"
number=0
for port in $ports; do
    number=$((number + 1))
    mark="$draining/web-$number"
    # The last one that works is never taken away: the others must be ready first.
    for other in $ports; do
        if [ "$other" != "$port" ] && ! is_ready "$other"; then
            echo "rolling: the web process on port $other is not ready; nothing was restarted on $port" >&2
            exit 1
        fi
    done
    trap 'rm -f "$mark"' EXIT
    trap 'exit 130' INT TERM
    : > "$mark"
    sleep 1 # for requests that nginx was just handing over; longer ones end during the restart
    if ! restart "$number" "$port"; then
        trap - EXIT
        echo "rolling: the web process on port $port was not restarted; it stays drained ($mark)" >&2
        exit 1
    fi
    waited=0
    until is_ready "$port"; do
        waited=$((waited + 1))
        if [ "$waited" -gt "$((ready_seconds * 2))" ]; then
            # It stays away from requests; the other serves on.
            trap - EXIT
            echo "rolling: the web process on port $port was not ready within $ready_seconds s; it stays drained ($mark)" >&2
            exit 1
        fi
        sleep 0.5
    done
    rm -f "$mark"
    trap - EXIT
    echo "rolling: web process $number on port $port is restarted and ready" >&2
    [ "$port" = "${ports##* }" ] || sleep 1 # for nginx to send to it again before the next one goes
done

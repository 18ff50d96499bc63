#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Starts five real daemons on loopback in a temporary folder and shows the main job: members, configuration that is
# written on one node and read on another, its past, a kill -9 and its detection, the return, a kill -9 of all nodes at
# once that loses nothing, a backup, a clean stop. Leaves nothing behind.
set -euo pipefail

bin=$(cd "${1:?usage: demo.sh FOLDER-OF-THE-PROGRAMS}" && pwd)
folder=$(mktemp -d "${TMPDIR:-/tmp}/gossipd-demo.XXXXXX")
base=$((20000 + RANDOM % 20000))
declare -A pid

cleanup() {
    status=$?
    trap - EXIT
    for name in "${!pid[@]}"; do kill -KILL "${pid[$name]}" 2>/dev/null || true; done
    wait 2>/dev/null || true
    if [ $status -ne 0 ]; then
        echo
        echo "The demo stopped at a step that did not happen (status $status). The daemons' last lines:"
        tail -n 5 "$folder"/*.log 2>/dev/null || true
    fi
    rm -rf "$folder"
    exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n== %s\n' "$*"; }
fail() { echo "did not happen: $*" >&2; exit 1; }
now() { date +%s%N; }
seconds_since() { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f", (b - a) / 1e9 }'; }

names=(web-1 web-2 web-3 db-1 db-2)
port() { local i; for i in "${!names[@]}"; do [ "${names[$i]}" = "$1" ] && echo $((base + i)); done; }
ctl() { local node=$1; shift; "$bin/gossipctl" --socket "$folder/$node.sock" "$@"; }
show() {
    local node=$1 word; shift
    printf '%s$ gossipctl' "$node"
    for word in "$@"; do case $word in *\ *) printf ' "%s"' "$word" ;; *) printf ' %s' "$word" ;; esac; done
    echo
    ctl "$node" "$@"
}

start() {
    "$bin/gossipd" --name "$1" --bind "127.0.0.1:$(port "$1")" --join "127.0.0.1:$base" --log-format text \
        --data-dir "$folder/$1" --socket "$folder/$1.sock" >>"$folder/$1.log" 2>&1 &
    pid[$1]=$!
}

# end NAME...: kill -9, without the shell's own word on it.
end() {
    local name
    { for name in "$@"; do kill -KILL "${pid[$name]}"; done; } 2>/dev/null
    for name in "$@"; do { wait "${pid[$name]}" || true; } 2>/dev/null; unset "pid[$name]"; done
}

# until_true SECONDS COMMAND...: asks again until it succeeds.
until_true() {
    local deadline=$(($(now) + $1 * 1000000000)); shift
    until "$@" >/dev/null 2>&1; do
        [ "$(now)" -lt $deadline ] || return 1
        sleep 0.02
    done
}
alive() { ctl "$1" status --output json | grep -q "\"alive\":$2"; }
reads() { [ "$(ctl "$1" kv get "$2")" = "$3" ]; }
logged() { grep -q "$2" "$folder/$1.log"; }

say "Five daemons start and find each other"
for name in "${names[@]}"; do start "$name"; done
started=$(now)
for name in "${names[@]}"; do until_true 10 alive "$name" 5 || fail "$name sees five members"; done
echo "all five see all five, $(seconds_since "$started") s after the last start"
show web-1 members

say "A register is written on web-1 and read on db-2"
show web-1 kv put app/db/url postgres://db-1/app
written=$(now)
until_true 5 reads db-2 app/db/url postgres://db-1/app || fail "db-2 reads the value"
printf 'db-2$ gossipctl kv get app/db/url\n%s   (%s s later)\n' "$(ctl db-2 kv get app/db/url)" "$(seconds_since "$written")"

say "It is changed on web-2, for a reason, until a majority holds it; then the change is taken back"
show web-2 kv put app/db/url postgres://db-2/app --wait majority --message "db-1 is retired"
until_true 5 reads web-1 app/db/url postgres://db-2/app || fail "web-1 reads the change"
show web-1 kv history app/db/url
show web-1 kv revert app/db/url --to 1 --message "db-2 is not ready"

say "A set gets elements on two nodes, a counter is counted on all"
show web-1 set add app/upstreams 10.0.0.1:80
show web-2 set add app/upstreams 10.0.0.2:80
both() { [ "$(ctl db-1 set list app/upstreams | wc -l)" = 2 ]; }
until_true 5 both || fail "db-1 sees both elements"
show db-1 set list app/upstreams
for name in "${names[@]}"; do ctl "$name" counter add app/deploys 1 >/dev/null & adders+=($!); done
for adder in "${adders[@]}"; do wait "$adder" || fail "a counter was counted"; done
five() { [ "$(ctl web-3 counter get app/deploys)" = 5 ]; }
until_true 5 five || fail "five nodes that count at once make five"
echo "five nodes add 1 at once:"
show web-3 counter get app/deploys

say "web-3 dies: kill -9"
killed=$(now)
end web-3
for name in web-1 web-2 db-1 db-2; do
    until_true 15 logged "$name" 'member web-3 failed' || fail "$name detects the failure"
done
echo "every survivor has reported it, $(seconds_since "$killed") s after the kill. Their logs say:"
for name in web-1 web-2 db-1 db-2; do
    printf '%s: %s\n' "$name" "$(grep -h 'member web-3 failed' "$folder/$name.log" | tail -n 1)"
done
show db-1 members --state failed

say "web-3 comes back with its identity and fetches what it missed"
ctl db-1 kv put app/written/meanwhile yes >/dev/null
returned=$(now)
start web-3
for name in "${names[@]}"; do until_true 10 alive "$name" 5 || fail "$name sees web-3 again"; done
until_true 10 reads web-3 app/written/meanwhile yes || fail "web-3 reads what was written meanwhile"
echo "alive everywhere and up to date $(seconds_since "$returned") s after its start"
show web-3 kv list app/

say "All five die at once: kill -9. What was acknowledged is there when they start again"
end "${names[@]}"
restarted=$(now)
for name in "${names[@]}"; do start "$name"; done
for name in "${names[@]}"; do until_true 10 alive "$name" 5 || fail "$name sees five members again"; done
echo "all five see all five, $(seconds_since "$restarted") s after the first start"
reads web-1 app/db/url postgres://db-1/app || fail "web-1 has kept the value"
show web-1 kv history app/db/url
equal() { ctl db-1 kv verify; }
until_true 10 equal || fail "all stores are equal"
show db-1 kv verify

say "A backup, and a file of changes that is looked at before it is written"
show db-2 backup "$folder/gossipd.backup"
show db-2 backup verify "$folder/gossipd.backup"
cat >"$folder/release.jsonl" <<'END'
{"key":"app/db/url","type":"register","value":"postgres://db-2/app"}
{"key":"app/db/pool","type":"register","value":"40"}
END
show web-1 kv import "$folder/release.jsonl" --dry-run
show web-1 kv import "$folder/release.jsonl" --message "release 12"
show web-1 doctor

say "Everybody stops cleanly"
for name in "${names[@]}"; do
    kill -TERM "${pid[$name]}"
    wait "${pid[$name]}" || fail "$name stops with status 0"
    unset "pid[$name]"
    echo "$name: $(grep -E 'left the cluster|stopped$' "$folder/$name.log" | tail -n 2 | head -n 1 | cut -d' ' -f2-)"
done

say "That was it: every step happened, nothing is left behind"

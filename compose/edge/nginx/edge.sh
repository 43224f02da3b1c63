#!/usr/bin/env bash
# Runs nginx and does for it what its free version cannot: asks each API slot once a second whether it is ready. The answer is a
# file for each ready slot, which nginx looks at with each request. nginx is reloaded only when a slot has another address.
# Uses nothing but bash, coreutils and getent, all in the public image.
set -u
conf="${EDGE_CONF:-/etc/edge/nginx.conf}"
state="${EDGE_STATE:-/run/edge}"
read -ra slots <<<"${EDGE_SLOTS:-api-a:8080 api-b:8080 api-c:8080 api-d:8080}"
letters=(a b c d)
every=1

# Prints a slot's address, nothing while its name is unknown. For names of its own network Docker answers at once; others it
# hands on, and that may take long.
address() {
    local found
    found="$(timeout "$every" getent ahostsv4 "${1%:*}")" && echo "${found%% *}:${1##*:}"
}

# Asks a slot, a second at most: 0 it is ready, 124 it says nothing, else it is not ready.
ask() {
    timeout "$every" bash -c '
        exec 3<>"/dev/tcp/$0/$1" || exit 1
        printf "GET /health/ready HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n" >&3
        read -r answer <&3 && [[ "$answer" == "HTTP/1.1 200"* ]]' "${1%:*}" "${1##*:}" 2>/dev/null
}

# Prints an upstream for each set of slots: slots_ (none), slots_a, slots_ab, ...
upstreams() {
    local set index name
    for ((set = 0; set < 16; set++)); do
        name="" servers=""
        for index in 0 1 2 3; do
            ((set >> index & 1)) || continue
            name+="${letters[index]}"
            # Never passive: a hostile client that makes requests fail must not put a slot out of use.
            servers+="    server ${addresses[index]} max_fails=0;"$'\n'
        done
        [[ -n "$servers" ]] || servers="    server 127.0.0.1:9;"$'\n'
        # Shorter than the API keeps an idle connection: a POST must not race with its closing.
        printf 'upstream slots_%s {\n    least_conn;\n%s    keepalive 16;\n    keepalive_timeout 4s;\n}\n' "$name" "$servers"
    done
}

# From 1.29 on, a reload leaves idle connections of clients open for as long as always, so that no request meets a closing one.
newer() {
    local version
    version="$(nginx -v 2>&1)" && version="${version##*/}"
    IFS=. read -r major minor _ <<<"$version"
    if ((major > 1 || minor >= 29)); then printf 'http2 on;\nkeepalive_min_timeout 60s;\n'; fi
}

# Prints how nginx finds out for each request which slots are ready: by a file of each that is, so that no reload is needed.
ready() {
    local letter
    echo 'set $ready "";'
    for letter in "${letters[@]}"; do
        echo "if (-f $state/ready/$letter) { set \$ready \"\${ready}$letter\"; }"
    done
}

# Finds the slots' addresses. Returns whether one has changed; one that is gone is not ready, but that is no reason to reload.
find() {
    local index found jobs=() changed=1
    for index in 0 1 2 3; do address "${slots[index]}" >"$state/address.$index" & jobs+=($!); done
    wait "${jobs[@]}"
    for index in 0 1 2 3; do
        found="$(<"$state/address.$index")"
        [[ -z "$found" || "$found" == "${addresses[index]}" ]] && continue
        addresses[index]="$found" changed=0
        rm -f "$state/ready/${letters[index]}"
    done
    return "$changed"
}

# Asks all slots at once. One that says nothing counts as not ready the second time, and not while no other is ready: on a busy
# machine a check can be late, and no slot at all would be an outage.
look() {
    local index jobs=() late=() any=""
    for index in 0 1 2 3; do ask "${addresses[index]}" & jobs+=($!); done
    for index in 0 1 2 3; do
        wait "${jobs[index]}"
        case $? in
            0) any=1 silent[index]=0 && : >"$state/ready/${letters[index]}" ;;
            124) ((silent[index]++ > 0)) && late+=("${letters[index]}") ;;
            *) rm -f "$state/ready/${letters[index]}" ;;
        esac
    done
    if [[ "$any" ]]; then for index in "${late[@]}"; do rm -f "$state/ready/$index"; done; fi
}

write() {
    { upstreams; newer; } >"$state/generated.new" && mv "$state/generated.new" "$state/generated.conf"
}

addresses=(127.0.0.1:9 127.0.0.1:9 127.0.0.1:9 127.0.0.1:9)
silent=(0 0 0 0)
mkdir -p "$state/ready" && rm -f "$state"/ready/*
sed "s/server_name DOMAIN;/server_name ${BOTSTEAD_DOMAIN:-localhost};/" "$conf" >"$state/nginx.conf"
ready >"$state/ready.conf"
find
write
look
[[ "${1:-}" == "--test" ]] && exec nginx -e stderr -t -q -c "$state/nginx.conf"
nginx -e stderr -c "$state/nginx.conf" -g 'daemon off;' &
nginx=$!
trap 'kill -QUIT $nginx; wait $nginx; exit' TERM QUIT INT
trap 'kill -HUP $nginx' HUP
while kill -0 $nginx 2>/dev/null; do
    sleep "$every"
    # What nginx does not know yet is asked, and ready, a second later.
    if find; then write && kill -HUP $nginx; else look; fi
done
wait $nginx

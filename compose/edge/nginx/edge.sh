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

# Prints a slot's address, or one where nobody listens while its name is unknown.
address() {
    local found
    found="$(getent ahostsv4 "${1%:*}")" && echo "${found%% *}:${1##*:}" || echo "127.0.0.1:9"
}

# Asks a slot, a second at most; leaves a file if it is ready.
check() {
    local file="$state/ready/$2" host="${1%:*}" port="${1##*:}"
    if timeout "$every" bash -c '
        exec 3<>"/dev/tcp/$0/$1" || exit 1
        printf "GET /health/ready HTTP/1.1\r\nHost: edge\r\nConnection: close\r\n\r\n" >&3
        read -r answer <&3 && [[ "$answer" == "HTTP/1.1 200"* ]]' "$host" "$port" 2>/dev/null; then
        [[ -e "$file" ]] || : >"$file"
    else
        rm -f "$file"
    fi
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

# From 1.29 on, a reload leaves idle connections of clients open for a while, so that no request meets a closing one.
newer() {
    local version
    version="$(nginx -v 2>&1)" && version="${version##*/}"
    IFS=. read -r major minor _ <<<"$version"
    if ((major > 1 || minor >= 29)); then printf 'http2 on;\nkeepalive_min_timeout 5s;\n'; fi
}

# Prints how nginx finds out for each request which slots are ready: by a file of each that is, so that no reload is needed.
ready() {
    local letter
    echo 'set $ready "";'
    for letter in "${letters[@]}"; do
        echo "if (-f $state/ready/$letter) { set \$ready \"\${ready}$letter\"; }"
    done
}

look() {
    local index jobs=()
    found=()
    for index in 0 1 2 3; do found+=("$(address "${slots[index]}")"); done
    for index in 0 1 2 3; do check "${found[index]}" "${letters[index]}" & jobs+=($!); done
    wait "${jobs[@]}"
}

write() {
    addresses=("${found[@]}")
    { upstreams; newer; } >"$state/generated.new" && mv "$state/generated.new" "$state/generated.conf"
}

mkdir -p "$state/ready" && rm -f "$state"/ready/*
sed "s/server_name DOMAIN;/server_name ${BOTSTEAD_DOMAIN:-localhost};/" "$conf" >"$state/nginx.conf"
ready >"$state/ready.conf"
look
write
[[ "${1:-}" == "--test" ]] && exec nginx -e stderr -t -q -c "$state/nginx.conf"
nginx -e stderr -c "$state/nginx.conf" -g 'daemon off;' &
nginx=$!
trap 'kill -QUIT $nginx; wait $nginx; exit' TERM QUIT INT
trap 'kill -HUP $nginx' HUP
while kill -0 $nginx 2>/dev/null; do
    look
    [[ "${addresses[*]}" == "${found[*]}" ]] || { write; kill -HUP $nginx; }
    sleep "$every"
done
wait $nginx

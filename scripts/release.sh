# The steps of scripts/upgrade: what is a release, how it is saved, rolled out and proven. To be sourced, from the root.
# A release is a folder releases/<n>: the compose files and what they mount (files/), .env (env), and the image's id (id), which
# is also tagged <project>-release:<n>, so that no prune takes it.

# shellcheck source=scripts/compose.sh
source scripts/compose.sh

releases=releases
journal=$releases/journal
kept=10                                # releases that are kept
patience=${BOTSTEAD_UPGRADE_WAIT:-90}  # seconds for a service to become healthy
settle=${BOTSTEAD_UPGRADE_SETTLE:-5}   # seconds that it must stay so: the edge looks every second, and believes the second look
again=${again:-}                       # replace also what has not changed
probes=2                               # of the canary that must come through, with none lost

say() {
    printf '%s\n' "$*" >&2
    [[ ! -d $releases ]] || printf '%s %s\n' "$(date -u +%FT%TZ)" "$*" >>"$journal"
}

die() {
    say "$*"
    exit 1
}

blame() { reason=$*; }

lock() { # one at a time
    (umask 077; mkdir -p "$releases")
    exec 9>"$releases/lock"
    flock -n 9 || die "Another upgrade is at work."
}

put() { # NAME VALUE: into .env, in one step
    cp -p .env .env.new
    if grep -q "^$1=" .env; then sed "s|^$1=.*|$1=$2|" .env >.env.new; else echo "$1=$2" >>.env.new; fi
    mv .env.new .env
}

ours() { # services that run our image and stay, in the order of their turn
    local all
    all=$(docker compose config --services)
    grep '^api-' <<<"$all" | sort
    grep -x worker <<<"$all" || true
    grep -x scheduler <<<"$all" || true
}

turns() { # whoever does not serve comes first, so that never two slots are away; one that drains still counts as healthy
    local each later=()
    for each in $(ours); do
        if [[ $(state "$each") == "running healthy" ]] && answers "$each"; then later+=("$each"); else echo "$each"; fi
    done
    printf '%s\n' "${later[@]}"
}

state() { # SERVICE: such as «running healthy»
    local id
    id=$(docker compose ps -aq "$1" | head -1)
    [[ -z $id ]] && { echo absent; return; }
    docker inspect -f '{{.State.Status}}{{if .State.Health}} {{.State.Health.Status}}{{end}}' "$id"
}

room() { # IMAGE: is there room for it twice?
    local need free
    need=$(($(docker image inspect -f '{{.Size}}' "$1") * 2 / 1024))
    free=$(df -Pk . | awk 'NR == 2 {print $4}')
    ((free > need)) || die "Too little room: $((free / 1024)) MB are free, the upgrade needs $((need / 1024))."
}

save() { # what runs, unless it is saved; prints its number
    local number id from
    number=$(cat "$releases/current" 2>/dev/null || echo 0)
    [[ ! -e $releases/pending ]] || { echo "$number"; return; } # the files are of a release that did not come to be
    id=$(docker inspect -f '{{.Image}}' "$(docker compose ps -q worker | head -1)")
    if [[ -d $releases/$number && $(<"$releases/$number/id") == "$id" ]]; then
        # Files that differ from what runs are of the next release already. Then the saved ones are the present ones.
        if same "$number" || [[ ! ${1:-} && $(changed) ]]; then echo "$number"; return; fi
    fi
    from=$number
    ((number += 1))
    (umask 077; mkdir -p "$releases/$number/files")
    cp -p .env "$releases/$number/env"
    parts | xargs -I{} cp -a --parents {} "$releases/$number/files"
    echo "$id" >"$releases/$number/id"
    docker tag "$id" "$(project)-release:$number"
    echo "$number" >"$releases/current"
    record "$number" "$(image), after release $from"
    forget
    echo "$number"
}

parts() { # what belongs to a release besides .env
    local each
    for each in compose.yaml compose alerts dashboards $(setting COMPOSE_FILE | tr : ' '); do
        [[ ! -e $each || $each == /* ]] || echo "$each"
    done | sort -u
}

same() { # NUMBER: are the files as they were then?
    cmp -s .env "$releases/$1/env" || return 1
    local each
    for each in $(parts); do diff -rq "$each" "$releases/$1/files/$each" >/dev/null || return 1; done
}

restore() { # NUMBER: its files and image; other settings in .env are the operator's, and stay
    cp -a "$releases/$1/files/." .
    put BOTSTEAD_IMAGE "$(setting BOTSTEAD_IMAGE botstead "$releases/$1/env")"
    put BOTSTEAD_VERSION "$(setting BOTSTEAD_VERSION '' "$releases/$1/env")"
    docker tag "$(<"$releases/$1/id")" "$(image)"
}

previous() { # NUMBER: of the release before
    ls "$releases" | grep -x '[0-9]*' | sort -n | awk -v now="$1" '$1 < now {found = $1} END {print found}'
}

forget() { # all but the newest
    local each
    for each in $(ls "$releases" | grep -x '[0-9]*' | sort -n | head -n -"$kept"); do
        docker image rm "$(project)-release:$each" >/dev/null 2>&1 || true
        rm -rf "${releases:?}/$each"
    done
}

record() { printf '%s\t%s\t%s\n' "$(date -u +%FT%TZ)" "$1" "$2" >>"$releases/history"; }

past() { cat "$releases/history" 2>/dev/null || echo "Nothing was upgraded here yet."; }

roll() { # SERVICE: replace it, wait until it is healthy, and see that it stays so
    local started=$SECONDS before left
    say "Replace $1."
    docker compose up -d --no-deps --no-build --pull never ${again:+--force-recreate} --wait --wait-timeout "$patience" "$1" \
        >>"$journal" 2>&1 || return 1
    before=$(runs "$1")
    for ((left = settle; left > 0; left--)); do
        sleep 1
        [[ $(state "$1") == "running healthy" && $(runs "$1") == "$before" ]] || return 1
    done
    answers "$1" || { say "$1 is healthy for itself, and not for the edge."; return 1; }
    say "$1 is healthy, after $((SECONDS - started)) s."
}

answers() { # SERVICE: what the edge asks, from where the edge is: on the network, at the public port
    [[ $1 == api-* ]] || return 0
    docker compose exec -T worker python -I -S -c '
import sys, urllib.request
urllib.request.urlopen(f"http://{sys.argv[1]}:8080/health/ready", timeout=2)' "$1" >>"$journal" 2>&1
}

runs() { docker inspect -f '{{.RestartCount}} {{.State.StartedAt}}' "$(docker compose ps -aq "$1" | head -1)"; }

counted() { # ok|bad: what the canary has counted since its scheduler started
    docker compose exec -T "$scout" python -I -S -c '
import os, sys, urllib.request
page = urllib.request.urlopen(f"http://127.0.0.1:{os.environ["BOTSTEAD_METRICS_PORT"]}/metrics", timeout=5).read().decode()
lines = [line.rpartition(" ") for line in page.splitlines() if line.startswith("canary_probes_total{")]
ok = sum(float(value) for name, _, value in lines if "outcome=\"ok\"" in name)
print(int(ok), int(sum(float(value) for _, _, value in lines) - ok)) if lines else print("none none")' 2>>"$journal" || echo "away away"
}

canary() { # messages must go the whole road: edge, API, database, worker, bot, delivery
    scout=$(ours | grep -x scheduler || echo worker)
    local ok bad ok0 bad0 last=$((SECONDS + patience))
    read -r ok0 bad0 <<<"$(counted)"
    if [[ $ok0 == none ]]; then say "There is no canary, so nobody tried the whole road: see BOTSTEAD_CANARY_SECONDS."; return; fi
    say "Wait for $probes messages of the canary."
    [[ $ok0 != away ]] || ok0=0 bad0=0
    while ((SECONDS < last)); do
        sleep 1
        read -r ok bad <<<"$(counted)"
        [[ $ok != away ]] || continue
        ((ok >= ok0 && bad >= bad0)) || ok0=0 bad0=0
        ((bad - bad0 < 2)) || return 1
        ((ok - ok0 < probes || bad > bad0)) || return 0
        ((bad == bad0)) || { ((ok - ok0 < probes + 1)) || return 0; }
    done
    return 1
}

changed() { # services that run otherwise than the files say
    join -j 1 <(docker compose config --hash '*' | sort) <(docker ps --filter "label=com.docker.compose.project=$(project)" \
        --format '{{.Label "com.docker.compose.service"}} {{.Label "com.docker.compose.config-hash"}}' | sort -u) |
        awk '$2 != $3 {print $1}'
}

rest() { # ALL: what only watches follows; edge and databases only when asked for, for connections break
    local each
    for each in $(changed); do
        case $each in
        edge | postgres | valkey)
            if [[ $1 ]]; then roll "$each" || say "$each did not become healthy."; else
                say "$each changed and was left alone: docker compose up -d --no-deps $each breaks its connections for seconds."
            fi ;;
        migrate) ;;
        *) docker compose up -d --no-deps --no-build "$each" >>"$journal" 2>&1 || say "$each could not be replaced." ;;
        esac
    done
}

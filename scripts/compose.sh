# Sourced by the scripts for the appliance on Docker Compose, which need bash and Docker only. From the root of the repository.

die() {
    echo "Error: $*" >&2
    exit 1
}

setting() { # NAME [DEFAULT] [FILE]: of .env, where the last line counts
    local file=${3:-.env} found=''
    [[ ! -f $file ]] || found=$(sed -n "s/^$1=//p" "$file" | tail -1)
    echo "${found:-${2:-}}"
}

image() { echo "$(setting BOTSTEAD_IMAGE botstead):$(setting BOTSTEAD_VERSION)"; }

project() { # [FILE]: the name in what `docker compose config --format json` wrote; without a file it is asked
    { if [[ ${1:-} ]]; then cat "$1"; else docker compose config --format json; fi; } | sed -n 's/^  "name": "\(.*\)",*$/\1/p'
}

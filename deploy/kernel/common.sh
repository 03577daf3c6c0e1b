# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What the scripts of deploy/kernel and deploy/testbed share. Sourced, not run.

# Everything that is built or downloaded goes here, never into a checkout.
apus_cache="${APUS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/apus}"

# Progress goes to standard error, results to standard output.
say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

# Ends the script: the cause first, then what to do about it. Exit status 125 unless $failure_status.
die() {
    printf '%s: error: %s\n' "${0##*/}" "$1" >&2
    [ $# -lt 2 ] || printf '%s: remedy: %s\n' "${0##*/}" "$2" >&2
    exit "${failure_status:-125}"
}

# Prints the comment block at the top of the script: its help text.
show_help() { sed -n '/^#/!q; /^#!/d; /SPDX/d; s/^# \{0,1\}//p' "$0"; }

# Installs those of the named Debian packages that are missing.
install_packages() {
    local package missing=()
    for package; do
        [ "$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null)" = "ii " ] ||
            missing+=("$package")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] ||
        die "these packages are missing: ${missing[*]}" "as root: apt-get install ${missing[*]}"
    say "installing ${missing[*]}"
    local apt=(apt-get -o DPkg::Lock::Timeout=600 -y --no-install-recommends -q)
    export DEBIAN_FRONTEND=noninteractive
    {
        "${apt[@]}" install "${missing[@]}" ||
            { "${apt[@]}" update && "${apt[@]}" install "${missing[@]}"; }
    } >"$apus_cache/apt.log" 2>&1 </dev/null ||
        die "apt-get could not install ${missing[*]}: $(grep -m1 '^E:' "$apus_cache/apt.log")" \
            "read $apus_cache/apt.log; /etc/apt needs the main and security archives of Debian 12 or 13"
}

# Holds the named lock until the script ends, so that two first uses do not build the same twice.
take_lock() {
    exec 9>"$1"
    flock -n 9 && return
    say "waiting for another run that holds $1 (30 minutes at most)"
    flock -w 1800 9 || die "another run still holds $1" "see what it does: fuser -v $1"
}

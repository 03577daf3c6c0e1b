# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Sourced by the scripts beside it, which run with `set -euo pipefail`. No script of its own.

# Every script works from the top of the checkout, wherever it was called from.
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit

# What is being done, on standard error: standard output is for results.
say() { echo "== $*" >&2; }

# die MESSAGE [EXIT-CODE]
die() {
    echo "$(basename "$0"): $1" >&2
    exit "${2:-1}"
}

# The comment at the top of the calling script is its help.
show_help() { sed -n '3,/^$/s/^# \{0,1\}//p' "$0"; }

# Takes an option's value or says that it is missing: value=$(value_of "$@")
value_of() {
    [ $# -ge 2 ] || die "$1 needs a value (see --help)" 64
    echo "$2"
}

# build_release PRODUCT...
# Product by product: a build of everything would also build what dependencies bring for their own
# use, a whole Protocol Buffers compiler among it, and take ten minutes longer.
build_release() {
    local product
    for product in "$@"; do
        say "swift build -c release --product $product"
        timeout 1800 swift build -c release --product "$product"
    done
}

# The executables.
programs=(apus-source apus-destination apus)

# Where the executables are: in APUS_BIN if that is set, otherwise in the release build, which is
# made or brought up to date first. Where nothing has changed since it was made, nothing is done:
# neither Swift nor a network is needed. Sets `bin`.
provide_binaries() {
    bin=${APUS_BIN:-.build/release}
    local built=.build/release/apus-built
    if [ -z "${APUS_BIN:-}" ] &&
        { [ ! -e "$built" ] ||
            [ -n "$(find Package.swift Sources -newer "$built" -print -quit)" ]; }
    then
        [ -z "${APUS_TESTBED:-}" ] ||
            die "the release build is not up to date: run $0 outside the testbed first"
        scripts/setup
        build_release "${programs[@]}" >&2
        touch "$built"
    fi
    local program
    for program in "${programs[@]}"; do
        [ -x "$bin/$program" ] ||
            die "no $bin/$program: remove .build/release/apus-built, and try again"
    done
}

# Sanitized builds have folders of their own, so that the main build stays as it is.
# run_sanitized thread|address TEST-TARGET...
run_sanitized() {
    local sanitizer=$1 target targets=
    shift
    for target in "$@"; do
        if [ -d "Tests/$target" ]; then targets+=${targets:+|}$target; fi
    done
    # A filter that matches nothing would build everything, run no test and pass.
    [ -n "$targets" ] || die "none of $* exists to run under the $sanitizer sanitizer"
    say "$targets under the $sanitizer sanitizer"
    local flags=(--sanitize="$sanitizer" --scratch-path ".build-$sanitizer")
    # Foundation's Process, which starts the programs of the tests, now and then loses a weak
    # reference of 32 bytes.
    local known=".build-$sanitizer/known-leaks"
    mkdir -p ".build-$sanitizer"
    printf 'leak:Foundation7ProcessC3run\n' >"$known"
    timeout 1800 swift build "${flags[@]}" --product ApusPackageTests
    LSAN_OPTIONS="suppressions=$PWD/$known:print_suppressions=0" \
        timeout 1800 swift test "${flags[@]}" --disable-xctest --skip-build --no-parallel \
        --filter "^($targets)\\."
}

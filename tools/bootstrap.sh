#!/usr/bin/env bash
# Installs what Wick needs to build and to test: system packages (apt, dnf or Homebrew) and, for the tests, a Python
# environment inside the build folder. Does nothing where everything is there.
#   tools/bootstrap.sh build   what `make` needs
#   tools/bootstrap.sh test    that, and the test oracles
#   tools/bootstrap.sh ci      that, and lint, sanitizers, fuzzers, cross compilers
set -euo pipefail
cd "$(dirname "$0")/.."
want=${1:-build}

say() { printf '\033[1m== %s\033[0m\n' "$*" >&2; }
die() { printf 'bootstrap: %s\n' "$*" >&2; exit 1; }

sudo=""
if [ "$(id -u)" != 0 ]; then
    if command -v sudo >/dev/null 2>&1; then sudo=sudo; fi
fi

apt_missing() { for p in "$@"; do dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || echo "$p"; done; }

default_clang() { apt-cache depends clang 2>/dev/null | sed -n 's/.*Depends: clang-\([0-9]*\).*/\1/p' | sed 1q || true; }

install_apt() {
    local list=(gcc g++ make cmake ninja-build pkg-config libmicrohttpd-dev libjansson-dev libcurl4-gnutls-dev libyaml-dev libsqlite3-dev
        libpcre2-dev libutf8proc-dev zlib1g-dev libedit-dev nettle-dev ca-certificates)
    if [ "$want" != build ]; then list+=(libcmocka-dev python3 python3-venv); fi
    if [ "$want" = ci ]; then
        list+=(clang clang-tidy clang-format llvm shellcheck mandoc)
        # libFuzzer and the sanitizers' runtime of the default clang are a package of their own.
        local version
        version=$(default_clang)
        [ -n "$version" ] || { $sudo apt-get update -qq && version=$(default_clang); }
        if apt-cache show "libclang-rt-$version-dev" >/dev/null 2>&1; then list+=("libclang-rt-$version-dev"); fi
        # For make cross-arm64, which says what it lacks where there are none (other processors, old releases).
        local p
        for p in gcc-aarch64-linux-gnu qemu-user; do
            if apt-cache show "$p" >/dev/null 2>&1; then list+=("$p"); fi
        done
    fi
    local missing
    mapfile -t missing < <(apt_missing "${list[@]}")
    [ "${#missing[@]}" -gt 0 ] || return 0
    [ "$(id -u)" = 0 ] || [ -n "$sudo" ] || die "these packages are missing and there is no sudo: ${missing[*]}"
    say "installing: ${missing[*]}"
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

install_dnf() {
    local list=(gcc gcc-c++ make cmake ninja-build pkgconf-pkg-config libmicrohttpd-devel jansson-devel libcurl-devel libyaml-devel sqlite-devel
        pcre2-devel utf8proc-devel zlib-devel libedit-devel nettle-devel)
    if [ "$want" != build ]; then list+=(libcmocka-devel python3); fi
    if [ "$want" = ci ]; then list+=(clang clang-tools-extra compiler-rt llvm ShellCheck); fi
    rpm -q "${list[@]}" >/dev/null 2>&1 || $sudo dnf install -y -q "${list[@]}"
}

install_brew() {
    local list=(cmake ninja pkgconf libmicrohttpd jansson curl libyaml sqlite pcre2 utf8proc libedit nettle)
    if [ "$want" != build ]; then list+=(cmocka python@3.12); fi
    if [ "$want" = ci ]; then list+=(llvm shellcheck); fi
    local p
    for p in "${list[@]}"; do brew list --versions "$p" >/dev/null 2>&1 || brew install -q "$p"; done
}

if command -v apt-get >/dev/null 2>&1; then install_apt
elif command -v dnf >/dev/null 2>&1; then install_dnf
elif command -v brew >/dev/null 2>&1; then install_brew
else die "no apt, dnf or Homebrew here: install the packages that docs/DEPENDENCIES.md lists"
fi

[ "$want" != build ] || exit 0

# The oracles. A venv made by the system's Python; the stamp holds the list it was made from.
venv=build/venv
lists=(tools/requirements.txt tools/constraints.txt)
if ! cat "${lists[@]}" | cmp -s - "$venv/.requirements"; then
    say "making the Python environment of the tests in $venv"
    python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "the tests need Python 3.11 or newer (mlx-lm does)"
    [ -x "$venv/bin/python" ] || python3 -m venv "$venv"
    "$venv/bin/python" -m pip install -q --use-pep517 --disable-pip-version-check -c tools/constraints.txt -r tools/requirements.txt
    cat "${lists[@]}" >"$venv/.requirements"
fi

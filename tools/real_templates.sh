#!/usr/bin/env bash
# Puts the chat templates of published models into build/real/templates, out of the source package of llama-cpp-python on
# PyPI. Does nothing where they are.
set -euo pipefail
cd "$(dirname "$0")/.."
version=0.3.36
dir=build/real/templates
[ "$(cat "$dir/done" 2>/dev/null || true)" != "$version" ] || exit 0
rm -rf "$dir"
mkdir -p "$dir"
build/venv/bin/python -m pip download -q --disable-pip-version-check --no-deps --no-binary llama-cpp-python \
    -d "$dir/package" "llama-cpp-python==$version"
tar -xzf "$dir"/package/llama_cpp_python-*.tar.gz -C "$dir" --strip-components=5 --wildcards '*/vendor/llama.cpp/models/templates/*.jinja'
rm -rf "$dir/package"
printf '%s\n' "$version" >"$dir/done"

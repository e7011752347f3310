#!/usr/bin/env bash
# Makes build/clients, a Python environment with the packages of tests/clients/requirements.txt: clients that cannot live in the
# environment of the other tests. Does nothing where it is there. Prints its Python.
set -euo pipefail
cd "$(dirname "$0")/.."
list=tests/clients/requirements.txt
dir=build/clients
if ! cmp -s "$list" "$dir/.requirements"; then
    [ -x "$dir/bin/python" ] || python3 -m venv "$dir"
    "$dir/bin/python" -m pip install -q --disable-pip-version-check --no-deps --no-compile -r "$list" >&2
    cp "$list" "$dir/.requirements"
fi
echo "$PWD/$dir/bin/python"

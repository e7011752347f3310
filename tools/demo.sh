#!/usr/bin/env bash
# The two-minute tour: the shipped model answers one request, streamed, with its speed.
set -euo pipefail
cd "$(dirname "$0")/.."
wick=${1:-build/release/wick}
printf '\n$ wick run models/wick-shell "list all files"\n'
"$wick" run models/wick-shell "list all files" --verbose 2>&1
printf '\nNext: %s run models/wick-shell          (a chat; Ctrl-D leaves)\n' "$wick"
printf '      %s --help\n' "$wick"

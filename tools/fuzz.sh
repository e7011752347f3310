#!/usr/bin/env bash
# Runs every libFuzzer target of a build folder for some seconds each, from its corpus; stops at the first finding.
#   tools/fuzz.sh build/fuzz 20
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1 seconds=$2
found=0
for target in "$build"/fuzz/fuzz_*; do
    [ -x "$target" ] && [ -f "$target" ] || continue
    name=$(basename "$target")
    case $name in *_replay) continue ;; esac
    found=1
    seeds="fuzz/corpus/${name#fuzz_}"
    work="$build/corpus/${name#fuzz_}"
    mkdir -p "$work"
    if [ -d "$seeds" ]; then cp -n "$seeds"/* "$work"/ 2>/dev/null || true; fi
    log="$build/$name.log"
    if "$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -artifact_prefix="$build/" "$work" >"$log" 2>&1; then
        printf '%-20s %s\n' "$name" "$(grep -E '^(Done|stat::number_of_executed_units)' "$log" | head -1)"
    else
        printf '%-20s FINDING\n' "$name"
        tail -40 "$log"
        exit 1
    fi
done
[ "$found" = 1 ] || { echo "no fuzz targets in $build/fuzz" >&2; exit 1; }

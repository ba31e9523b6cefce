#!/usr/bin/env bash
# Makes core/cli/assets/inkling-demo.gguf again, from nothing: corpus, vocabulary, training, export, evaluation, golden data.
# Needs Python 3.11 or newer with venv. Works in the cache folder; an interrupted run goes on where it was.
# usage: scripts/demo-model/train.sh [folder]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/inkling/demo-model}
mkdir -p "$work" "$root/core/cli/assets" "$root/core/testkit/data" "$root/docs"

[ -x "$work/venv/bin/python" ] || python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
python=("$work/venv/bin/python")

# XLA asks for fresh buffers at every step; without these limits glibc gives them back to the kernel each time, and the
# page faults cost a third of the step.
export MALLOC_MMAP_THRESHOLD_=4000000000 MALLOC_TRIM_THRESHOLD_=8000000000 MALLOC_TOP_PAD_=268435456 MALLOC_ARENA_MAX=1

model=$root/core/cli/assets/inkling-demo.gguf
"${python[@]}" "$here/train.py" --out "$work/run"
"${python[@]}" "$here/check.py"
"${python[@]}" "$here/export.py" --out "$work/run" --model "$model"
"${python[@]}" "$here/evaluate.py" --model "$model" --report "$work/run/report.json"
"${python[@]}" "$here/golden.py" --model "$model" --golden "$root/core/testkit/data/demo-model.json"
"${python[@]}" "$here/plot.py" --log "$work/run/log.tsv" --png "$root/docs/demo-model-loss.png"

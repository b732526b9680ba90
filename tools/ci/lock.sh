#!/usr/bin/env bash
# Write requirements/lock.txt: one version of everything, with hashes, from wheels alone.
# Arguments go to `uv pip compile`: `--upgrade` takes the newest of everything, `--upgrade-package NAME` of one.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/uv"
"$work/uv/bin/pip" install -q uv==0.13.9

lock=requirements/lock.txt
printf '%s\n' '# made by tools/ci/lock.sh from pyproject.toml; do not edit' > "$work/header"
"$work/uv/bin/uv" pip compile pyproject.toml -q --extra dev --extra docs --extra bench --extra slurm --extra optuna --extra transformers \
  --extra onnx --extra openvino --extra tensorboard \
  --constraint requirements/torch.txt --universal --python-version 3.11 --only-binary :all: --emit-build-options \
  --generate-hashes --no-header --no-annotate --output-file "$lock" "$@" > /dev/null
grep -v '^# made by' "$lock" | cat "$work/header" - > "$work/lock.txt"
cp "$work/lock.txt" "$lock"

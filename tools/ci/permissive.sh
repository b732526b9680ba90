#!/usr/bin/env bash
# Install what docs/how-to/families.md says for a life without ultralytics, in an environment of its own, and see that
# everything but the YOLO family works there: the way from drawn scenes to an exported model, then the tests that need
# no YOLO.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/venv"
export PATH="$work/venv/bin:$PATH"

lines=$(sed -n '/^## Without ultralytics/,/^## /p' docs/how-to/families.md | sed -n '/^```sh$/,/^```$/p' | grep '^pip install')
echo "$lines"
eval "$lines"
extras=$(python -c "
import tomllib
groups = tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']
print(*groups['dev'], *groups['transformers'], *groups['onnx'])")
pip install -q $extras
if python -c "import ultralytics" 2>/dev/null; then
  echo "ultralytics is here" && exit 1
fi

root=$PWD
cd "$work"
scratch="model.family=torchvision model.arch=ssdlite320_mobilenet_v3_large model.weights=scratch"
detect-transfer train $scratch 'data.synthetic={train_images: 24, val_images: 18}' \
  train.imgsz=96 train.epochs=1 train.batch=8 out=run
detect-transfer predict run run/data/images/val --out predicted
detect-transfer evaluate --truth run/data --split val --detections predicted --out scored
detect-transfer export run --to onnx --out exported
detect-transfer evaluate exported/model.onnx --data run/data --split val --out scored_export
status=0
detect-transfer train model.weights=embedded 'data.synthetic={}' || status=$?
[ "$status" = 3 ]  # YOLO is refused as something that is not installed

cd "$root"
python -m pytest -q -m 'not yolo and not real and not fuzz_long' tests/core tests/config tests/formats tests/evaluation \
  tests/data tests/report tests/models/torchvision tests/models/transformers "$@"

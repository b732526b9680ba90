#!/usr/bin/env bash
# Install the newest release of everything that pyproject.toml admits, in an environment of its own, and run the tests:
# a release that breaks us is seen here before a user meets it.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch torchvision -e '.[dev,docs,bench]'
names() { sed -nE 's/^([A-Za-z0-9._-]+)==([^ ]+).*/\1 \2/p' | tr 'A-Z_' 'a-z-' | LC_ALL=C sort; }
"$work/venv/bin/pip" list --format freeze | names > "$work/newest"
names < requirements/lock.txt > "$work/lock"
echo "not the release of the lock:"
LC_ALL=C comm -13 "$work/lock" "$work/newest"
make PYTHON="$work/venv/bin/python" lint types docs
"$work/venv/bin/python" -m pytest "$@"

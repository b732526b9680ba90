#!/usr/bin/env bash
# Install the newest release of everything that pyproject.toml admits, in an environment of its own, and run the tests:
# a release that breaks us is seen here before a user meets it.
set -euo pipefail
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/venv"
"$work/venv/bin/pip" install -q torch torchvision -e '.[dev,docs,bench]'
"$work/venv/bin/pip" list --format freeze | sed 's/==/ /' | sort > "$work/newest"
sed -nE 's/^([A-Za-z0-9_.-]+)==([^ ]+).*/\1 \2/p' requirements/lock.txt | sort > "$work/lock"
echo "newer than the lock (lock, newest):"
join -i "$work/lock" "$work/newest" | awk '$2 != $3'
make PYTHON="$work/venv/bin/python" lint types docs
"$work/venv/bin/python" -m pytest "$@"

#!/usr/bin/env bash
# Write the bill of materials of requirements/lock.txt (CycloneDX JSON), and look its releases up among known
# vulnerabilities. Argument: where the bill goes; without it, sbom.json. It ends with 1 where a vulnerability is known;
# where nobody answers, as without a network, it says so and ends with 0.
set -euo pipefail
bill=$(realpath -m "${1:-sbom.json}")
cd "$(dirname "$0")/../.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3.11 -m venv "$work/env"
"$work/env/bin/pip" install -q cyclonedx-bom==7.5.0 pip-audit==2.10.1

"$work/env/bin/cyclonedx-py" requirements requirements/lock.txt --pyproject pyproject.toml --mc-type application \
  --output-reproducible --output-format JSON --output-file "$bill"
echo "bill of materials: $bill, $(grep -c '"bom-ref"' "$bill") components"

if timeout 300 "$work/env/bin/pip-audit" --strict --disable-pip --require-hashes -r requirements/lock.txt --progress-spinner off \
  >"$work/audit" 2>&1; then
  echo "no known vulnerability in requirements/lock.txt"
elif grep -qE 'Found [0-9]+ known vulnerabilit' "$work/audit"; then
  cat "$work/audit"
  exit 1
else
  echo "nobody answers about vulnerabilities: $(tail -1 "$work/audit")"
fi

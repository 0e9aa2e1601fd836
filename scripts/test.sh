#!/usr/bin/env bash
# Runs everything with the race detector, fuzzes shortly, and ends with a summary.
set -uo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
start=$SECONDS
status=0
# One package after the other: several measure how fast a worker takes over.
go test -race -p 1 -count=1 -timeout 25m -v ./... >"$log" 2>&1 || status=1
grep -E '^(ok|FAIL|panic:)|^\s*--- (FAIL|SKIP)' "$log"
if [ $status -ne 0 ]; then
	echo "--- what failed:"
	grep -E '_test\.go:[0-9]+:|DATA RACE|^panic|--- FAIL' "$log" | cut -c1-400 | head -n 100
	echo "--- the end of the log:"
	grep -vE '^\s*(=== |--- PASS)' "$log" | tail -n 200
fi
# The benchmarks once, so that they do not rot.
go test ./queue -run '^$' -bench . -benchtime 1x >/dev/null || { echo "FAIL: benchmarks of queue"; status=1; }
scripts/fuzz.sh "${FUZZTIME:-30s}" || status=1
count() { grep -cE "^\s*--- $1" "$log"; }
echo "$((SECONDS - start)) s"
echo "$(count PASS) passed, $(($(count FAIL) + (status != 0 && $(count FAIL) == 0))) failed, $(count SKIP) skipped"
exit $status

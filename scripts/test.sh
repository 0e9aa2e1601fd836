#!/usr/bin/env bash
# Runs all tests with the race detector, runs each fuzz target for a short time, and prints a
# summary. While it runs, it prints a line for each package that ends and each test that fails,
# with the seconds since the start. The whole log is in bin/test.log, also after Ctrl-C.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p bin
log=bin/test.log
start=$SECONDS
status=0
trap 'echo; echo "stopped after $((SECONDS - start)) s: the log so far is $log"; exit 130' INT TERM
say() { while IFS= read -r line; do printf '%5d s  %s\n' $((SECONDS - start)) "$line"; done; }
telling='^(ok|FAIL|panic:)|^\s*--- (FAIL|SKIP)|DATA RACE'
echo "testing: each package takes up to 5 minutes; the log is $log"
# The packages run one after the other, because several measure how fast a worker takes over.
go test -race -p 1 -count=1 -timeout 25m -v ./... 2>&1 | tee "$log" |
	grep --line-buffered -E "$telling" | say
[ "${PIPESTATUS[0]}" -eq 0 ] || status=1
if [ $status -ne 0 ]; then
	echo "--- failures:"
	grep -E '_test\.go:[0-9]+:|DATA RACE|^panic|--- FAIL' "$log" | cut -c1-400 | head -n 100
	echo "--- the end of the log:"
	grep -vE '^\s*(=== |--- PASS)' "$log" | tail -n 200
fi
# The benchmarks run once, to show that they still work.
go test ./queue -run '^$' -bench . -benchtime 1x >/dev/null || {
	echo "FAIL: benchmarks of queue"
	status=1
}
scripts/fuzz.sh "${FUZZTIME:-30s}" || status=1
count() { grep -cE "^\s*--- $1" "$log"; }
failed=$(count FAIL)
((status != 0 && failed == 0)) && failed=1
echo "$(count PASS) passed, $failed failed, $(count SKIP) skipped, $((SECONDS - start)) s"
exit $status

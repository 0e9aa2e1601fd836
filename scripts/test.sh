#!/usr/bin/env bash
# Runs all tests with the race detector, or only those of the packages in its arguments, runs each
# fuzz target for a short time, and prints a summary. While it runs, it prints a line for each
# package that starts or ends and for each test that fails, with the seconds since the start. The
# whole log is in bin/test.log, also after Ctrl-C.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p bin
log=bin/test.log
start=$SECONDS
status=0
elapsed() { echo $((SECONDS - start)); }
trap 'echo "stopped after $(elapsed) s: the log so far is $log"; exit 130' INT TERM
say() { while IFS= read -r line; do printf '%5d s  %s\n' "$(elapsed)" "$line"; done; }

# The programs are built once for all packages (test/kit/harness/programs.go). Tests run some of
# them as another user, so the folder must be open.
TEST_PROGRAMS=$(mktemp -d)
export TEST_PROGRAMS
trap 'rm -rf "$TEST_PROGRAMS"' EXIT
chmod 755 "$TEST_PROGRAMS"
export CGO_ENABLED=0
go build -o "$TEST_PROGRAMS" ./cmd/worker ./cmd/workerctl ./cmd/dashboard \
	./test/kit/testworker ./examples/hello ./examples/demo || exit 1
go build -tags failpoints -o "$TEST_PROGRAMS/testworker-failpoints" ./test/kit/testworker || exit 1
unset CGO_ENABLED

telling='^(=== PACKAGE|ok|FAIL|panic:)|^\s*--- (FAIL|SKIP)|DATA RACE'
: >"$log"
# test_packages tests packages, as many at once as its first argument says. -exec runs the tests of
# each package by a script that prints the name of the package first.
test_packages() {
	local at_once=$1
	shift
	go test -race -p "$at_once" -count=1 -timeout 25m -v -exec "$PWD/scripts/announce.sh" \
		"$@" 2>&1 |
		tee -i -a "$log" | grep --line-buffered -E "$telling" | say
	[ "${PIPESTATUS[0]}" -eq 0 ] || status=1
}
echo "testing: a package takes up to 4 minutes; the log is $log"
if [ $# -gt 0 ]; then
	test_packages 1 "$@"
else
	# These run one after the other, because they measure how fast a worker takes over.
	measuring='/test/(acceptance|faults|interop)$'
	mapfile -t others < <(go list ./... | grep -vE "$measuring")
	mapfile -t measured < <(go list ./... | grep -E "$measuring")
	test_packages 2 "${others[@]}"
	test_packages 1 "${measured[@]}"
fi
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
scripts/fuzz.sh "${FUZZTIME:-5s}" || status=1
count() { grep -cE "^\s*--- $1" "$log"; }
failed=$(count FAIL)
((status != 0 && failed == 0)) && failed=1
echo "$(count PASS) passed, $failed failed, $(count SKIP) skipped, $(elapsed) s; the log is $log"
exit $status

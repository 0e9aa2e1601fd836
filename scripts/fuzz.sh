#!/usr/bin/env bash
# Runs every fuzz target for the given time.
set -euo pipefail
cd "$(dirname "$0")/.."
out=$(mktemp)
trap 'rm -f "$out"' EXIT
# fuzz runs a target. On a busy machine Go's fuzzer now and then fails with "context
# deadline exceeded" as its time ends, without an input that fails: then once more.
fuzz() {
	for _ in 1 2 3; do
		go test -run '^$' -fuzz "^$1\$" -fuzztime "$2" "$3" >"$out" 2>&1 && return 0
		grep -q 'context deadline exceeded' "$out" && ! grep -q 'Failing input written' "$out" || return 1
		echo "fuzz: $1: its time ended badly, and no input failed: once more"
	done
	return 1
}
for file in $(git ls-files '*_test.go' | xargs grep -l '^func Fuzz'); do
	for target in $(grep -oE '^func Fuzz[A-Za-z0-9]+' "$file" | cut -c6-); do
		fuzz "$target" "$1" "./$(dirname "$file")" || { cat "$out"; exit 1; }
		echo "fuzz: $target: $1 without a finding"
	done
done

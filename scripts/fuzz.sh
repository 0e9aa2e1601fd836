#!/usr/bin/env bash
# Runs every fuzz target for the given time.
set -euo pipefail
cd "$(dirname "$0")/.."
for file in $(git ls-files '*_test.go' | xargs grep -l '^func Fuzz'); do
	for target in $(grep -oE '^func Fuzz[A-Za-z0-9]+' "$file" | cut -c6-); do
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" "./$(dirname "$file")" >/tmp/kyu-fuzz.$$ 2>&1 ||
			{ cat /tmp/kyu-fuzz.$$; rm -f /tmp/kyu-fuzz.$$; exit 1; }
		echo "fuzz: $target: $1 without a finding"
	done
done
rm -f /tmp/kyu-fuzz.$$

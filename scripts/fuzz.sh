#!/usr/bin/env bash
# Runs every fuzz target for the given time, as many at once as there are cores.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# fuzz runs a target. On a busy machine Go's fuzzer sometimes fails with "context deadline
# exceeded" at the end of its time, although no input failed. Then the target runs once more.
fuzz() {
	local target=$1 time=$2 package=$3 out
	out=$dir/$target
	for _ in 1 2 3; do
		if go test -run '^$' -parallel 1 -fuzz "^$target\$" -fuzztime "$time" "$package" \
			>"$out" 2>&1; then
			execs=$(grep -oE 'execs: [0-9]+' "$out" | tail -n 1) || true
			echo "fuzz: $target: $time without a finding, $execs"
			return 0
		fi
		grep -q 'context deadline exceeded' "$out" && ! grep -q 'Failing input written' "$out" ||
			break
		echo "fuzz: $target: Go's fuzzer hit its deadline; no input failed; running it again"
	done
	cat "$out"
	touch "$dir/failed"
}
for file in $(git ls-files '*_test.go' | xargs grep -l '^func Fuzz'); do
	for target in $(grep -oE '^func Fuzz[A-Za-z0-9]+' "$file" | cut -c6-); do
		while [ "$(jobs -rp | wc -l)" -ge "$(nproc)" ]; do wait -n || true; done
		fuzz "$target" "$1" "./$(dirname "$file")" &
	done
done
wait
[ ! -e "$dir/failed" ]

#!/usr/bin/env bash
# Format, vet, staticcheck, the width of lines; the directions of imports have a test of their own.
set -euo pipefail
cd "$(dirname "$0")/.."
unformatted=$(gofmt -l $(git ls-files '*.go' 2>/dev/null || find . -name '*.go'))
if [ -n "$unformatted" ]; then
	printf 'not formatted (run gofmt -w):\n%s\n' "$unformatted"
	exit 1
fi
go vet ./...
# A module of its own, so that Kyu does not depend on what it is measured beside.
(cd loadtest/peers && go vet ./...)
# A tool, not a dependency: it is run at a fixed version, outside go.mod.
go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
go test ./internal -run TestColumns -count=1
bash -n scripts/*.sh .ci/run
echo "check: format, vet, staticcheck, lines of at most 100 columns: clean"

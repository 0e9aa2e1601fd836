#!/usr/bin/env bash
# Checks format, vet, staticcheck and the length of lines. A test checks the imports.
set -euo pipefail
cd "$(dirname "$0")/.."
unformatted=$(gofmt -l $(git ls-files '*.go' 2>/dev/null || find . -name '*.go'))
if [ -n "$unformatted" ]; then
	printf 'not formatted (run gofmt -w):\n%s\n' "$unformatted"
	exit 1
fi
go vet ./...
# The rivals are in a module of their own, so that Kyu does not depend on them.
(cd loadtest/compare/rivals && go vet ./...)
# staticcheck is a tool, not a dependency: it runs at a fixed version, outside go.mod.
go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...
go test ./internal -run TestColumns -count=1
bash -n scripts/*.sh .ci/run
for script in deploy/deb/p*; do sh -n "$script"; done
echo "check: no findings in format, vet, staticcheck and the length of lines"

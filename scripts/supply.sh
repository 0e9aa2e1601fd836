#!/usr/bin/env bash
# Checks a release: two builds in two places must be the same bytes. Lists its components (SBOM)
# and the known weaknesses. The tools run at fixed versions, outside go.mod.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir -p bin
go mod verify
for place in one another/longer/path; do
	mkdir -p "$dir/$place"
	git archive HEAD | tar -x -C "$dir/$place"
	make -s -C "$dir/$place" build
	(cd "$dir/$place/bin" && sha256sum worker workerctl) >"$dir/$(basename "$place").sums"
done
cmp "$dir/one.sums" "$dir/path.sums" || {
	echo "the build is not reproducible: two builds in two places differ:"
	cat "$dir"/*.sums
	exit 1
}
cp "$dir/one.sums" bin/SHA256SUMS
echo "reproducible: two builds in two places are the same bytes"
cat bin/SHA256SUMS
for program in worker workerctl; do
	go run github.com/CycloneDX/cyclonedx-gomod/cmd/cyclonedx-gomod@v1.9.0 app -json \
		-licenses=false -output "bin/$program.cdx.json" -main "cmd/$program" . 2>/dev/null
	echo "SBOM: bin/$program.cdx.json, $(grep -c '"purl"' "bin/$program.cdx.json") components"
done
# These checks are left out, for these reasons: G104 errors of closing; G115 numbers whose range is
# checked before; G118 a call that must outlive its request; G204, G301, G304, G703 paths and
# programs that the operator names; G401, G505 SHA-1, by which Redis names scripts; G402 a switch
# that is off by default; G404 jitter; G706 text in the log, which is quoted.
go run github.com/securego/gosec/v2/cmd/gosec@v2.30.0 -quiet \
	-exclude=G104,G115,G118,G204,G301,G304,G401,G402,G404,G505,G703,G706 \
	-exclude-dir=loadtest -exclude-dir=test -exclude-dir=examples \
	./queue/... ./worker/... ./cli/... ./monitor/... ./tracing/... \
	./database/... ./jobs/... ./cmd/... ./internal/env/... ./internal/guard/... \
	./internal/httpsig/... ./internal/mastodon/... ./internal/protocol/... ./internal/redisdb/... \
	./internal/sdnotify/...
echo "gosec: no findings"
if ! go run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./cmd/... ./examples/... \
	>"$dir/vuln" 2>&1; then
	if grep -q 'fetching vulnerabilities' "$dir/vuln"; then
		why=$(grep -o 'lookup .*\|dial .*' "$dir/vuln" | head -n 1) || true
		echo "govulncheck: NOT RUN: this machine cannot reach its database ($why)"
	else
		cat "$dir/vuln"
		exit 1
	fi
else
	echo "govulncheck: no findings"
fi

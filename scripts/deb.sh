#!/usr/bin/env bash
# Gathers the documents of the Debian package in bin/share/doc, and builds the package with nfpm.
# `make deb` builds the programs, man pages and completions before, and sets VERSION, ARCH and
# SOURCE_DATE_EPOCH, which is the date of everything in the package.
set -euo pipefail
cd "$(dirname "$0")/.."
doc=bin/share/doc
# So an official package of Debian, whose revision is 1, is newer than this one.
export REVISION=0kyu1
rm -rf "$doc"
mkdir -p "$doc/examples"
cp -r docs/*.md docs/img deploy/deb/README.Debian deploy/deb/copyright "$doc"
cp CHANGELOG.md "$doc/changelog"
for name in worker dashboard; do
	cp "deploy/systemd/$name.env.example" "$doc/examples/$name.env"
done

cat >"$doc/changelog.Debian" <<END
kyu (${VERSION/-/\~}-$REVISION) unstable; urgency=medium

  * Built from this version of Kyu; changelog.gz has its changes.

 -- The Kyu developers <kyujobs@users.noreply.github.com>  $(
	LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH"
)
END

# The licences of the modules that are in the programs want their notices beside them.
notices() {
	printf '======== %s ========\n\n' "$1"
	find "$2" -maxdepth 1 -type f \( -name 'LICENSE*' -o -name 'NOTICE*' \) -print0 | sort -z |
		xargs -0 cat
	echo
}
module='{{with .Module}}{{if not .Main}}{{.Path}} {{.Version}} {{.Dir}}{{end}}{{end}}'
{
	notices "$(go env GOVERSION)" "$(go env GOROOT)"
	go list -deps -f "$module" ./cmd/worker ./cmd/workerctl ./cmd/dashboard | sort -u |
		while read -r path version folder; do notices "$path $version" "$folder"; done
} >"$doc/third-party-notices"

# Debian's policy: the changelogs always, and other documents from 4 KiB on.
gzip -9n "$doc"/changelog*
find "$doc" -type f -size +4095c ! -name '*.gz' ! -name '*.svg' ! -name copyright \
	-exec gzip -9n {} +
chmod -R u=rwX,go=rX "$doc"

go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.0 package -f deploy/deb/nfpm.yaml -p deb \
	-t bin/

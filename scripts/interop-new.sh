#!/usr/bin/env bash
# Runs the tests of test/interop with the Sidekiq of Debian 13 (7.3) and of Debian unstable (8.1),
# and the mixed load at its full size, also with this machine's Sidekiq. Ruby runs inside a chroot
# of each release. A missing chroot is made, in CHROOTS. If that cannot be done, the script says
# why and exits with 0. Arguments go to the tests: -update writes the golden data.
set -uo pipefail
cd "$(dirname "$0")/.."
chroots=${CHROOTS:-${XDG_CACHE_HOME:-$HOME/.cache}/kyu/chroot}
packages=ruby,ruby-sidekiq,ruby-rack,ruby-activejob,ca-certificates
jobs=${JOBS:-20000}
run=${RUN:-.}
skip() {
	echo "skipped: $*"
	exit 0
}
[ "$(id -u)" -eq 0 ] || skip "interop-new needs root, to enter a chroot: sudo make interop-new"
unshare --mount true 2>/dev/null || skip "this machine does not permit unshare --mount"
mkdir -p bin

# Makes the chroot of a release. A namespace holds the mounts of debootstrap, so none is left.
make_chroot() {
	local root=$chroots/$1 log=bin/debootstrap-$1.log
	[ -e "$root/usr/bin/sidekiq" ] && return
	command -v debootstrap >/dev/null ||
		skip "there is no $root, and no debootstrap to make it: apt-get install debootstrap"
	echo "making $root: this takes about 10 minutes, the log is $log"
	rm -rf --one-file-system "$root.new"
	mkdir -p "$chroots"
	unshare --mount debootstrap --variant=minbase --include="$packages" "$1" "$root.new" \
		>"$log" 2>&1 || skip "debootstrap could not make $root: see $log"
	mv "$root.new" "$root"
}

# Runs tests with the Ruby of a chroot, or with this machine's if the name is "here".
run_tests() {
	local name=$1 log=bin/interop-$1.log root=""
	[ "$name" = here ] || root=$chroots/$name
	shift
	echo "--- Sidekiq $(version "$root"), the log is $log"
	TEST_RUBY_ROOT=$root go test ./test/interop -count=1 -v -timeout 30m "$@" >"$log" 2>&1
	local result=$?
	grep -E '_test\.go:[0-9]+:|--- FAIL|^panic|DATA RACE' "$log" | cut -c1-400
	echo "$(count PASS "$log") passed, $(count FAIL "$log") failed, $(count SKIP "$log") skipped"
	return $result
}

version() { basename "$1"/usr/share/rubygems-integration/all/gems/sidekiq-[0-9]* | cut -d- -f2; }
count() { grep -cE "^\s*--- $1" "$2"; }

make_chroot trixie
make_chroot sid
status=0
run_tests trixie -run "$run" -args -jobs "$jobs" "$@" || status=1
run_tests sid -run "$run" -args -jobs "$jobs" "$@" || status=1
run_tests here -run TestLoad -args -jobs "$jobs" || status=1
exit $status

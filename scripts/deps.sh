#!/usr/bin/env bash
# Installs the Debian packages that the tests need: real servers and a real Ruby Sidekiq.
# Does nothing if all of them are installed.
set -euo pipefail
packages=(redis-server redis-tools postgresql pgbouncer python3-aiosmtpd openssl ruby
	ruby-sidekiq ruby-sidekiq-cron ruby-rack nginx-light gcc libc6-dev procps util-linux systemd
	strace tmux lintian man-db chromium fonts-noto-cjk)
missing=()
for p in "${packages[@]}"; do
	dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' ||
		missing+=("$p")
done
[ ${#missing[@]} -eq 0 ] && exit 0
sudo=""
[ "$(id -u)" -eq 0 ] || sudo="sudo"
echo "installing: ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
# Keeps the packages from starting servers: the tests start their own, on private ports.
if [ ! -e /usr/sbin/policy-rc.d ]; then
	printf '#!/bin/sh\nexit 101\n' | $sudo tee /usr/sbin/policy-rc.d >/dev/null
	$sudo chmod +x /usr/sbin/policy-rc.d
	trap '$sudo rm -f /usr/sbin/policy-rc.d' EXIT
fi
$sudo apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null

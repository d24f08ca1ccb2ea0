#!/bin/sh
# Installs Debian packages that are missing: `debian_packages.sh PACKAGE:PROGRAM …`. Needs root or sudo.
missing=""
for pair in "$@"; do
  PATH="$PATH:/usr/sbin" command -v "${pair#*:}" >/dev/null 2>&1 || missing="$missing ${pair%%:*}"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ]; then run=""; elif command -v sudo >/dev/null 2>&1; then run="sudo"; else
  echo "These programs are missing; install them as root: apt-get install$missing" >&2; exit 1
fi
export DEBIAN_FRONTEND=noninteractive
$run apt-get update -qq && $run apt-get install -y -qq --no-install-recommends $missing

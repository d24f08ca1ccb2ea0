#!/bin/sh
# Installs Debian packages that are missing: `debian_packages.sh PACKAGE:PROGRAM …`; without a program (`PACKAGE:`) the
# package itself is looked for. Needs root or sudo.
missing=""
for pair in "$@"; do
  if [ -n "${pair#*:}" ]; then
    PATH="$PATH:/usr/sbin" command -v "${pair#*:}" >/dev/null 2>&1 && continue
  else
    dpkg-query -W -f='${Status}' "${pair%:}" 2>/dev/null | grep -q 'ok installed' && continue
  fi
  missing="$missing ${pair%%:*}"
done
[ -z "$missing" ] && exit 0
if [ "$(id -u)" = 0 ]; then run=""; elif command -v sudo >/dev/null 2>&1; then run="sudo"; else
  echo "These programs are missing; install them as root: apt-get install$missing" >&2; exit 1
fi
export DEBIAN_FRONTEND=noninteractive
$run apt-get update -qq && $run apt-get install -y -qq --no-install-recommends $missing

#!/bin/sh
# Installs the system packages that the given targets need, or names what is missing and stops.
# usage: tests/bootstrap.sh PACKAGE…
set -eu

missing=''
for package in "$@"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if ! command -v apt-get >/dev/null 2>&1; then
  echo "bootstrap: this is not a Debian or Ubuntu system; install the equivalents of:$missing" >&2
  exit 1
fi
if [ "$(id -u)" -eq 0 ]; then
  as_root=''
elif command -v sudo >/dev/null 2>&1; then
  as_root='sudo'
else
  echo "bootstrap: missing packages:$missing (run as root, or install sudo)" >&2
  exit 1
fi
echo "bootstrap: installing$missing"
$as_root apt-get update -qq
# shellcheck disable=SC2086  # the list is meant to be split
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null

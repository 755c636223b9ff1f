#!/bin/sh
# Sees to it that the Chromium of the browser tests and the screenshots is there: /usr/bin/chromium, from Debian's
# packages. Where it is missing it is installed with apt-get, which needs root and a reachable mirror.
# What cannot be had ends the call with one sentence and status 1.
set -eu

fail() {
  echo "browser: $1" >&2
  exit 1
}

runs() {
  [ -x /usr/bin/chromium ] && /usr/bin/chromium --version >/dev/null 2>&1
}

if runs; then
  exit 0
fi
command -v apt-get >/dev/null 2>&1 ||
  fail "/usr/bin/chromium is missing, and this system has no apt-get to install it with; the console is tested on Debian."
[ "$(id -u)" = 0 ] ||
  fail "/usr/bin/chromium is missing, and installing it needs root: apt-get install chromium"

install() {
  DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null
}

echo "browser: installing Debian's chromium (about 300 MB, once)"
# What apt knows of may be too old, or nothing.
install 2>/dev/null || { apt-get update -qq >/dev/null && install; } ||
  fail "apt-get could not install chromium (see its message above)."
runs || fail "/usr/bin/chromium was installed, but does not run on this machine ($(uname -s) $(uname -m))."

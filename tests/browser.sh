#!/usr/bin/env bash
# Makes sure that the page tests find a Chromium: an installed one, else the system's package when
# we are root.  Never fails: without a browser the page tests skip themselves, and say so.
set -u
for name in "${FANGZHI_BROWSER:-}" chromium chromium-browser google-chrome google-chrome-stable; do
  [ -n "$name" ] && command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
  echo "no Chromium found: installing the system's package"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null && exit 0
fi
cat >&2 <<'MESSAGE'
********************************************************************************
  NO BROWSER: the page tests will be SKIPPED.
  Install chromium or google-chrome, or name one in FANGZHI_BROWSER.
********************************************************************************
MESSAGE

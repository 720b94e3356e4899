#!/usr/bin/env bash
# Brings tus-js-client (MIT), the upload client of other people that a page test runs in the browser,
# into tests/page/node_modules.  Never fails: without it that test skips itself, and says so.
set -u
cd "$(dirname "$0")/page" || exit 0
[ -f node_modules/tus-js-client/dist/tus.min.js ] && exit 0
command -v npm >/dev/null && npm ci --ignore-scripts --no-audit --no-fund --silent && exit 0
echo "NO tus-js-client: its page test will be SKIPPED (it needs npm)" >&2
exit 0

#!/usr/bin/env bash
# Brings what page tests run in the browser and other people wrote, into node_modules here:
# tus-js-client (MIT), an upload client, and axe-core (MPL-2.0), which finds what shuts readers out.
# Never fails: without them those tests skip themselves, and say so.
set -u
cd "$(dirname "$0")" || exit 0
[ node_modules/.package-lock.json -nt package-lock.json ] && exit 0
command -v npm >/dev/null && npm ci --ignore-scripts --no-audit --no-fund --silent && exit 0
echo "NO tus-js-client, no axe-core: their page tests will be SKIPPED (they need npm)" >&2
exit 0

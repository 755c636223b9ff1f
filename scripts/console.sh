#!/bin/sh
# Checks the console's scripts: their types (TypeScript over JSDoc), that the vendored files are the packages'
# own, and the tests of its pure parts. `sh scripts/console.sh vendor` vendors anew instead.
# Needs a reachable npm registry once; the pinned packages stay in .console/ (git-ignored). Install scripts are
# never run. What cannot be had ends the call with one sentence and status 1.
set -eu
cd "$(dirname "$0")/.."

PINS=scripts/console
HOME_DIR=.console
STAMP=$HOME_DIR/.installed
PYTHON=${PYTHON:-}
[ -n "$PYTHON" ] || { [ -x .venv/bin/python ] && PYTHON=.venv/bin/python; } || PYTHON=python3

fail() {
  echo "console: $1" >&2
  exit 1
}

pins() {
  cat "$PINS/package.json" "$PINS/package-lock.json" requirements/e2e.txt | cksum
}

. scripts/node.sh

find_node
if [ ! -f "$STAMP" ] || [ "$(cat "$STAMP")" != "$(pins)" ]; then
  mkdir -p "$HOME_DIR"
  rm -f "$STAMP"
  cp "$PINS/package.json" "$PINS/package-lock.json" "$PINS/.npmrc" "$HOME_DIR/"
  (cd "$HOME_DIR" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) ||
    fail "the npm registry did not deliver the pinned packages (see npm's message above)."
  pins >"$STAMP"
fi

if [ "${1:-}" = vendor ]; then
  exec "$PYTHON" scripts/vendor.py
fi
"$PYTHON" scripts/vendor.py --check
"$NODE" "$HOME_DIR/node_modules/typescript/bin/tsc" --project "$PINS/tsconfig.json"
"$NODE" --test --test-reporter=dot tests/unit/console/*.test.mjs

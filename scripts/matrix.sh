#!/bin/sh
# Runs the unit tests on every other CPython >= 3.11 that is found, each in its own environment.
set -eu
cd "$(dirname "$0")/.."
main=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
found=0
for minor in 11 12 13 14 15; do
    version=3.$minor
    [ "$version" = "$main" ] && continue
    python=
    for candidate in "python$version" "${PYENV_ROOT:-$HOME/.pyenv}"/versions/$version.*/bin/python; do
        if "$candidate" -c "import sys; sys.exit(sys.version_info[:2] != (3, $minor) or sys.implementation.name != 'cpython')" >/dev/null 2>&1; then
            python=$candidate
            break
        fi
    done
    [ -n "$python" ] || continue
    found=$((found + 1))
    echo "matrix: CPython $version"
    env=.venv-$version
    if [ ! -f "$env/.done" ] || [ requirements/dev.txt -nt "$env/.done" ]; then
        "$python" -m venv "$env"
        "$env/bin/python" -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements/dev.txt
        "$env/bin/python" -m pip --disable-pip-version-check --quiet install --no-build-isolation --no-deps --editable .
        touch "$env/.done"
    fi
    "$env/bin/python" -m pytest -q -n "${WORKERS:-4}" --dist load --maxschedchunk 4 -p no:cacheprovider tests/unit tests/contract tests/integration
done
[ "$found" -gt 0 ] || echo "matrix: no other CPython >= 3.11 was found; nothing more to run"

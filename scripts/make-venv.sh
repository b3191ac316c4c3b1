#!/bin/sh
# Makes the virtual environment DIR with everything pinned in requirements-dev.txt.
# usage: make-venv.sh DIR PYTHON
set -eu

dir=$1 python=$2

fail() {
  echo "make-venv: $1" >&2
  exit 1
}

command -v "$python" >/dev/null || fail "no $python on PATH; install Python 3.11 or newer, or set PYTHON=/path/to/it"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
  fail "$("$python" --version) is too old; install Python 3.11 or newer, or set PYTHON=/path/to/it"

if [ ! -x "$dir/bin/python" ] || ! "$dir/bin/python" -m pip --version >/dev/null 2>&1; then
  rm -rf "$dir"
  "$python" -m venv "$dir" 2>/dev/null || {
    rm -rf "$dir"
    fail "$python cannot make virtual environments; on Debian and Ubuntu: apt-get install python3-venv"
  }
fi

echo "Installing the pinned requirements into $dir ..."
pip() {
  "$dir/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
}
pip --require-hashes --requirement requirements-installer.txt || true
"$dir/bin/python" -m uv pip install --quiet --python "$dir/bin/python" --compile-bytecode \
  --require-hashes --requirement requirements-dev.txt ||
  pip --require-hashes --requirement requirements-dev.txt # where only pip knows the index
pip --no-deps --no-build-isolation --editable .

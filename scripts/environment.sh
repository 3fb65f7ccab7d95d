# Sourced by the other scripts: makes .venv with everything in the extras $1 (comma-separated), once.
#
# A fresh machine needs Python 3.11 or newer and a package index (pip's own configuration is honoured).

cd "$(dirname "${BASH_SOURCE[0]}")/.."

find_python() {
  local candidate
  for candidate in "${PYTHON:-}" python3.11 python3.12 python3.13 python3; do
    if [ -n "$candidate" ] && "$candidate" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "gswarm needs Python 3.11 or newer (with venv); none was found on PATH. Set PYTHON to one." >&2
  return 1
}

make_environment() {
  local extras=$1 stamp
  stamp=".venv/ready-$(cat pyproject.toml <(echo "$extras" "$PWD") | sha256sum | cut -c1-16)"
  if [ ! -e "$stamp" ]; then
    echo "Making .venv (once; a minute or two) ..." >&2
    rm -rf .venv
    "$(find_python)" -m venv .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$extras]" \
      2> >(grep -v '^WARNING: Location' >&2)
    touch "$stamp"
  fi
  PATH="$PWD/.venv/bin:$PATH"
}

# Sourced by the other scripts: `make_environment EXTRA...` makes .venv with these extras, once.
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
  local extra missing=() stamp
  stamp=.venv/ready-$(cat pyproject.toml <(echo "$PWD") | sha256sum | cut -c1-16)
  for extra in "$@"; do
    [ -e "$stamp-$extra" ] || missing+=("$extra")
  done
  PATH="$PWD/.venv/bin:$PATH"
  [ ${#missing[@]} -eq 0 ] && return

  echo "Installing ${missing[*]} into .venv (once; a minute or two) ..." >&2
  compgen -G "$stamp-*" >/dev/null || rm -rf .venv
  [ -d .venv ] || "$(find_python)" -m venv .venv
  .venv/bin/python -m pip install --quiet --disable-pip-version-check \
    --editable ".[$(IFS=,; echo "${missing[*]}")]" 2> >(grep -v '^WARNING: Location' >&2)
  for extra in "${missing[@]}"; do
    touch "$stamp-$extra"
  done
}

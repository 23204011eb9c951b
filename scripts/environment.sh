# Makes and enters the Python environment: source scripts/environment.sh FOLDER EXTRA. Used by test.sh and demo.sh.
# Nothing is installed again while pyproject.toml and constraints.txt are what they were.

spinenet_python() {
  local candidate
  for candidate in ${PYTHON:-} python3.11 python3.12 python3.13 python3; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$candidate"
      return
    fi
  done
  echo "spinenet needs Python 3.11 or newer; set PYTHON to one" >&2
  return 1
}

spinenet_environment() {
  local folder=$1 extra=$2 stamp wanted python
  stamp="$folder/.spinenet-$extra"
  wanted=$(cat pyproject.toml constraints.txt | cksum; pwd)
  if [ ! -x "$folder/bin/python" ]; then
    python=$(spinenet_python) || return 1
    "$python" -m venv "$folder"
  fi
  if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    echo "installing spinenet and what it needs into $folder (a few minutes the first time)" >&2
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[$extra]" || return 1
    printf '%s' "$wanted" > "$stamp"
  fi
  PATH="$(cd "$folder/bin" && pwd):$PATH"
  export PATH
}

spinenet_environment "$1" "$2"

#!/usr/bin/env bash
# Builds the documentation into site/, strictly: bash scripts/docs.sh. It makes the reference from the code, runs the
# notebooks (about two minutes; SPINENET_DOCS_NOTEBOOKS=no leaves that out), and ends with an error where a link, an
# anchor or a name leads nowhere.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh "${SPINENET_VENV:-.venv}" dev
export OMP_NUM_THREADS=1 MPLBACKEND=Agg
mkdocs build --strict "$@"
if grep -rlE '(src|href)="https?://[^"]*"[^>]*(stylesheet|script|preconnect)|<(script|img|iframe)[^>]*src="https?://' site --include='*.html'; then
  echo "these pages load something from outside" >&2
  exit 1
fi

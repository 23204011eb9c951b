#!/usr/bin/env bash
# Checks and tests: bash scripts/test.sh [pytest arguments]. Makes its environment the first time (about 3 minutes).
#   SPINENET_VENV    folder of the environment, .venv here if unset
#   SPINENET_SPIDER  folder of the SPIDER data set; tests on real scans are skipped without it
#   Tests of the pages and of the DICOM objects need programs of the system and are skipped without them:
#   apt-get install chromium dicom3tools
#   PYTHON           interpreter that makes the environment, python3.11 or newer
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=${SPINENET_VENV:-.venv}
source scripts/environment.sh "$venv" dev
export OMP_NUM_THREADS=1 MPLBACKEND=Agg

ruff check
ruff format --check
mypy
python -m pytest "$@"

#!/usr/bin/env bash
# Checks and tests: bash scripts/test.sh [slow] [pytest arguments]. Makes its environment the first time (3 minutes).
#   slow             runs the tests marked slow too (a few minutes more)
#   SPINENET_VENV    folder of the environment, .venv here if unset
#   SPINENET_SPIDER  folder of the SPIDER data set; tests on real scans are skipped without it
#   SPINENET_STRICT  any value: a test skipped for a reason that tests/conftest.py does not list fails
#   PYTHON           interpreter that makes the environment, python3.11 or newer
# Some tests hold our files against programs of the system and are skipped without them:
#   apt-get install chromium dcmtk dicom3tools orthanc orthanc-dicomweb openssl
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

venv=${SPINENET_VENV:-.venv}
source scripts/environment.sh "$venv" dev
export OMP_NUM_THREADS=1 MPLBACKEND=Agg

tests=(-m "not slow")
if [ "${1:-}" = slow ]; then
  tests=(-m "")
  shift
fi

ruff check
ruff format --check
mypy
python -m pytest --numprocesses 2 --dist worksteal "${tests[@]}" "$@"

#!/usr/bin/env bash
# Makes data/sample anew: one phantom study of three series as DICOM, at most 3 MB. bash scripts/make_sample.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
made=$(mktemp -d)
trap 'rm -r "$made"' EXIT
python scripts/make_phantom.py "out=$made" studies=1 seed=12 layout=dicom_jpeg2000 \
  study.pixel=uint16 study.size=256 study.axial_size=224 study.slices=13
rm -rf data/sample
mv "$made/images/1" data/sample
du -sh data/sample

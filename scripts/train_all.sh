#!/usr/bin/env bash
# From the data to the bundle in the package, everything that is learnt:
#   bash scripts/train_all.sh SPIDER SUDIRMAN [OUT]
# make_stenosis_grader.sh makes phantoms and learns from them, make_default_bundle.sh the rest; both can be called alone.
# OUT/times.txt says what each step took. About nine hours of one CPU core, a night. On one H100 or H200 with 16 cores
# the parts were measured apart: phantoms 189 s, grader 143 s, three fold locators, outlines and pictures minutes
# (notebooks/EXPERIMENTS.md); measuring, evaluating and exporting stay on the CPU, an hour of one core, so that the
# whole is not done in ten minutes. SPINENET_DRY=1 tries every step on a handful of studies.
set -euo pipefail
exec bash "$(dirname "${BASH_SOURCE[0]}")/make_default_bundle.sh" "$1" "$2" "${3:-data/default}"

#!/usr/bin/env bash
# The whole journey on a fresh machine: environment, data, training, evaluation, ONNX bundle, prediction, report.
#   bash scripts/demo.sh                 on synthetic studies made here
#   bash scripts/demo.sh PATH_TO_SPIDER  on SPIDER's layout (images/, masks/, radiological_gradings.csv)
# Five to ten minutes on 2 cores without a GPU. The networks are small and hardly trained: this shows that everything
# works, not how well spinenet grades. Results go to data/demo (SPINENET_DEMO), the environment to .venv (SPINENET_VENV).
set -euo pipefail
spider=${1:+$(cd "$1" && pwd)}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=${SPINENET_DEMO:-data/demo}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}  # two threads wait for each other where cores are shared, and gain little

step() { printf '\n== %s (%d s)\n' "$1" "$SECONDS"; }

step "1/6 environment"
source scripts/environment.sh "${SPINENET_VENV:-.venv}" train

step "2/6 data"
if [ -n "$spider" ]; then
  data=(data=spider "data.root=$spider")
else
  python scripts/make_phantom.py "out=$out/phantoms" studies=40 seed=1 workers=2 study.axial=false study.slices=3
  data=(data=phantom "data.root=$out/phantoms")
fi
spinenet prepare "${data[@]}" --check > "$out/check.txt"
grep -v '^- ' "$out/check.txt"
echo "each finding: $out/check.txt"

step "3/6 train the locator"
spinenet train locator "${data[@]}" experiment=demo_locator model=locator_small "out=$out/locator"

step "4/6 train the grader, export, calibrate and evaluate it"
spinenet train grader "${data[@]}" experiment=demo_grader model=grader_small "locator=$out/locator" "out=$out/grader"
for section in "Ordinal grades" "Findings"; do awk -v "wanted=## $section" '/^## /{shown = $0 == wanted} shown' "$out/grader/report.md"; done

step "5/6 a study that neither network has seen"
if [ -n "$spider" ]; then
  mapfile -t unseen < <(spinenet prepare "${data[@]}" "list_fold=$out/grader/split.json" | head -1)
  mkdir -p "$out/unseen"
  ln -sf "$spider"/images/"${unseen[0]}"_t*.mha "$out/unseen/"  # one folder, so that the patient is one study
  study=("$out/unseen")
else
  python scripts/make_phantom.py "out=$out/unseen" studies=1 seed=990 study.axial=false study.slices=5
  study=("$out/unseen/images")
fi

step "6/6 predict it"
# what was learnt from synthetic studies alone is experimental, and left out of findings unless it is asked for
spinenet predict "${study[@]}" --model "$out/grader/bundle" --out "$out/report" --overwrite --experimental
printf '\nThe report: %s\nThe test patients: %s\n' "$out"/report/reports/*.html "$out/grader/report.md"

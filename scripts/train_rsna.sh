#!/usr/bin/env bash
# From RSNA 2024's official download to a bundle whose stenosis grades were learnt from patients:
#   bash scripts/train_rsna.sh RSNA2024 [OUT [OVERRIDE...]]
# RSNA2024 holds train.csv, train_label_coordinates.csv, train_series_descriptions.csv and train_images/. OVERRIDEs go to
# every training: trainer=ddp trainer.devices=4, fit.epochs=20. Three folds of patients give the challenge's score with
# intervals (OUT/patients/report.md) and the calibration; a fourth training learns from everyone, and takes the place of
# the grader in the package's bundle (OUT/all/bundle). With test_images/ there, OUT/submission.csv is written.
# Finished steps are skipped and broken ones go on, so it may be stopped and started again; OUT/times.txt says what each
# took.
set -euo pipefail
rsna=$(cd "$1" && pwd)
out=${2:-data/rsna}
if [ $# -gt 1 ]; then shift 2; else shift; fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh "${SPINENET_VENV:-.venv}" train
export OMP_NUM_THREADS=1
source scripts/steps.sh "$out"

spinenet prepare data=rsna2024 "data.root=$rsna" "out=$out/prepared" "workers=$(nproc)"

calibrated=()
for fold in 0 1 2 -1; do
  trained learnt.json grader "$out/grader$fold" data=rsna2024 "data.root=$out/prepared" "data.fold=$fold" \
    experiment=rsna_grader init=default "$@"
  if [ "$fold" = -1 ]; then
    once "$out/patients/metrics.json" spinenet evaluate "out=$out/patients" data=rsna2024 "data.root=$out/prepared" \
      "runs=[$out/fold0,$out/fold1,$out/fold2]" "title='RSNA 2024, 3-fold cross-validation'"
    calibrated=("calibration=[$out/patients/calibration.json]" "metrics=$out/patients/metrics.json")
    exported=$out/all
  else
    exported=$out/fold$fold
  fi
  once "$exported/bundle/model.json" spinenet export "out=$exported" start=default "graders=[$out/grader$fold]" "${calibrated[@]}"
done

if [ -d "$rsna/test_images" ]; then
  spinenet predict "$rsna/test_images" --model "$out/all/bundle" --out "$out/test" --overwrite
  python scripts/submit_rsna.py "predictions=$out/test/predictions.csv" images=test_images "data.root=$rsna" \
    "out=$out/submission.csv"
fi
echo "score and calibration: $out/patients/report.md; bundle: $out/all/bundle"

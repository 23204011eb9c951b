#!/usr/bin/env bash
# From SPIDER to the bundle in the package and its cross-validated figures: bash scripts/make_default_bundle.sh SPIDER [OUT]
# About 3 hours on 2 CPU cores. Finished steps are skipped, so it may be stopped and started again.
set -euo pipefail
spider=$(cd "$1" && pwd)
out=${2:-data/default}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh "${SPINENET_VENV:-.venv}" train

once() { # FILE COMMAND...: run the command unless it has already made the file
  local made=$1
  shift
  [ -e "$made" ] || "$@"
}

once "$out/phantoms/radiological_gradings.csv" \
  python scripts/make_phantom.py "out=$out/phantoms" layout=spider studies=350 seed=11 workers=2 \
  study.axial=false study.slices=3
once "$out/pretrained/done" python scripts/train_grader.py data=phantom "data.root=$out/phantoms" \
  experiment=pretrain_grader "out=$out/pretrained"
touch "$out/pretrained/done"

# Folds 0 to 2 are tested on patients they never saw; -1 is trained on everyone and shipped.
for fold in 0 1 2 -1; do
  once "$out/locator$fold/locator.onnx" python scripts/train_locator.py "data.root=$spider" "data.fold=$fold" \
    data.validation=0 "out=$out/locator$fold"
  for seed in 1 2; do
    once "$out/grader$fold-$seed/done" python scripts/train_grader.py "data.root=$spider" "data.fold=$fold" \
      experiment=finetune_grader "init=$out/pretrained/checkpoints/last.ckpt" "seed=$seed" "out=$out/grader$fold-$seed"
    touch "$out/grader$fold-$seed/done"
  done
done

for fold in 0 1 2; do
  once "$out/fold$fold/bundle/model.json" python scripts/export.py "out=$out/fold$fold" \
    "graders=[$out/grader$fold-1,$out/grader$fold-2]" "locator=$out/locator$fold"
done
once "$out/evaluation/metrics.json" python scripts/evaluate.py "data.root=$spider" "out=$out/evaluation" \
  "runs=[$out/fold0,$out/fold1,$out/fold2]" "title='SPIDER, 3-fold cross-validation'"
python scripts/export.py experiment=default_bundle "out=$out/all" "graders=[$out/grader-1-1,$out/grader-1-2]" \
  "locator=$out/locator-1" "calibration=$out/evaluation/calibration.json" "metrics=$out/evaluation/metrics.json"
echo "bundle: $out/all/bundle; it belongs in src/spinenet/models/default"

#!/usr/bin/env bash
# The bundle that make_default_bundle.sh starts from: a locator, and a grader that learnt stenosis from phantoms:
#   bash scripts/make_stenosis_grader.sh SPIDER [OUT]
# About 4 hours on 2 CPU cores; phantoms to learn from and the grader took six minutes of 16 cores and a GPU. Finished
# steps are skipped, so it may be stopped and started again.
set -euo pipefail
spider=$(cd "$1" && pwd)
out=${2:-data/default}
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh "${SPINENET_VENV:-.venv}" train
export OMP_NUM_THREADS=1

source scripts/steps.sh "$out"

# Phantoms: many with every grade frequent and as many as RSNA 2024 has them, some for the locator, some to calibrate and
# some to test on.
small=("study.size=$(many 320 192)" "study.axial_size=$(many 256 128)" study.sub_slices=1 study.pixel=uint16)
odd=study.random_share=0.1 # of what is learnt from: grey values of no sequence
phantoms() { # FOLDER STUDIES SEED OVERRIDES...
  [ "$(find "$1/truth" -name '*.json' 2> /dev/null | wc -l)" -ge "$2" ] ||
    timed "$1" python scripts/make_phantom.py "out=$1" "studies=$2" "seed=$3" workers=2 "${@:4}"
}
phantoms "$out/balanced" "$(many 480 4)" 21 study.mode=BALANCED "${small[@]}" "$odd"
phantoms "$out/rsna" "$(many 200 2)" 22 study.mode=RSNA "${small[@]}" "$odd"
phantoms "$out/test" "$(many 200 3)" 13 study.mode=RSNA "${small[@]}"
phantoms "$out/calibration" "$(many 100 3)" 15 study.mode=RSNA "${small[@]}"
phantoms "$out/spines" "$(many 150 4)" 14 layout=spider study.axial=false study.slices=3 "study.size=$(many 384 192)"
for part in balanced rsna test calibration; do
  spinenet prepare data=phantom "data.root=$out/$part" "out=$out/prepared-$part" workers=2
done
learn=$out/prepared
mkdir -p "$learn"
for part in balanced rsna; do
  for file in "$out/prepared-$part"/*.npz; do ln -sf "$(realpath "$file")" "$learn/$part-$(basename "$file")"; done
done

# The grader: from the weights in the package on with phantoms, then with patients and phantoms together.
trained learnt.json grader "$out/pretrained" data=phantom "data.root=$learn" experiment=pretrain_grader \
  init=default fit.steps=420
trained locator.onnx locator "$out/locator-1" data=spider_phantom "data.root=$spider" \
  "data.extra.phantom=$out/spines" data.fold=-1 data.validation=0
trained learnt.json grader "$out/grader-1" data=spider_phantom "data.root=$spider" "data.extra.phantom=$learn" data.fold=-1 \
  experiment=finetune_grader "init=$out/pretrained/checkpoints/last.ckpt"

evaluated() { # FOLDER OVERRIDES...
  once "$1/metrics.json" spinenet evaluate "out=$1" "${@:2}"
}
# Calibrated on other phantoms than it is tested on.
once "$out/uncalibrated/bundle/model.json" spinenet export "out=$out/uncalibrated" \
  "graders=[$out/grader-1]" "locator=$out/locator-1"
evaluated "$out/calibrated" data=phantom "data.root=$out/calibration" "runs=[$out/uncalibrated]"
once "$out/stenosis/bundle/model.json" spinenet export experiment=default_bundle "out=$out/stenosis" \
  "graders=[$out/grader-1]" "locator=$out/locator-1" "calibration=[$out/calibrated/calibration.json]"
# What real series look like, and the views that SPIDER lacks.
python scripts/fit_gates.py "$out/stenosis/bundle" "$spider/images" --synthetic "$out/calibration/images"
evaluated "$out/phantoms" data=phantom "data.root=$out/test" "runs=[$out/stenosis]" "title='200 synthetic studies, exact truth'"
echo "bundle: $out/stenosis/bundle, to start from"

# Networks of other kinds with the same data and the same budget.
for model in grader grader_mean grader_resnet18_3d grader_resnet34_3d; do
  trained learnt.json grader "$out/contest/$model" data=phantom "data.root=$learn" "model=$model" experiment=compare_grader
  once "$out/contest/$model-exported/bundle/model.json" spinenet export "out=$out/contest/$model-exported" \
    "graders=[$out/contest/$model]" "locator=$out/locator-1"
done
python scripts/compare_models.py data=phantom "data.root=$out/prepared-test" "out=$out/contest/judged" \
  "runs=[$(printf "$out/contest/%s-exported," grader grader_mean grader_resnet18_3d)$out/contest/grader_resnet34_3d-exported]"

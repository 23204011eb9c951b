#!/usr/bin/env bash
# From SPIDER and Sudirman's patients to the bundle in the package and its figures:
#   bash scripts/make_default_bundle.sh SPIDER SUDIRMAN [OUT [START]]
# START is a bundle that has the locator and the grader of stenosis, which are kept: "default" for the one in the package;
# without it make_stenosis_grader.sh makes one (4 hours). The rest takes about 5 hours of one CPU core, most of it the
# folds' locators, which a GPU learns in minutes. Finished steps are skipped and broken ones go on, so it may be stopped
# and started again.
set -euo pipefail
spider=$(cd "$1" && pwd)
sudirman=$(cd "$2" && pwd)
out=${3:-data/default}
start=${4:-}
if [ -d "$start" ]; then start=$(cd "$start" && pwd); fi
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh "${SPINENET_VENV:-.venv}" train,imagenet
export OMP_NUM_THREADS=1

source scripts/steps.sh "$out"
if [ -z "$start" ]; then
  bash scripts/make_stenosis_grader.sh "$spider" "$out"
  start=$out/stenosis/bundle
fi
once "$out/spines/overview.csv" python scripts/make_phantom.py "out=$out/spines" "studies=$(many 150 4)" seed=14 workers=2 layout=spider \
  study.axial=false study.slices=3
once "$out/few-spines/overview.csv" python scripts/make_phantom.py "out=$out/few-spines" "studies=$(many 60 4)" seed=14 workers=2 \
  layout=spider study.axial=false study.slices=3 study.size=320 study.sub_slices=1

once "$out/axial-spines/truth/$(many 60 4).json" python scripts/make_phantom.py "out=$out/axial-spines" "studies=$(many 60 4)" seed=152 \
  workers=2 layout=phantom study.slices=3 study.size=128

# What outlines a disc: bodies from outlines first, then all of it from label images. Folds 0 to 2 are tested on patients
# that they never saw; -1 learns from everyone and is shipped.
trained segmenter.onnx segmenter "$out/outlines" trainer=auto data=outlines "data.root=$sudirman" \
  "data.extra.phantom=$out/few-spines" data.fold=-1 fit.steps=900
for fold in 0 1 2 -1; do
  trained segmenter.onnx segmenter "$out/segmenter$fold" trainer=auto data=label_images "data.root=$spider" \
    "data.extra.sudirman=$sudirman" "data.extra.phantom=$out/few-spines" "data.fold=$fold" \
    experiment=finetune_segmenter fit.steps=1100 "init=$out/outlines/checkpoints/last.ckpt"
done

# What outlines the dural sac in axial slices. Fold 0's is shipped: it was the better one on phantoms and Sudirman's slices.
for fold in 0 1 2; do
  trained sac.onnx segmenter "$out/sac$fold" trainer=auto data=sacs "data.root=$spider" \
    "data.extra.phantom=$out/axial-spines" "data.fold=$fold" experiment=sac
done

# What grades pictures of discs: ImageNet, then one target of many patients, then eight of few.
trained discs.onnx discs "$out/discs" trainer=auto data=sudirman "data.root=$sudirman" experiment=pretrain_discs
for fold in 0 1 2 -1; do
  trained discs.onnx discs "$out/discs$fold" trainer=auto data=spider_sudirman "data.root=$spider" \
    "data.extra.sudirman=$sudirman" "data.fold=$fold" experiment=discs "init=$out/discs/discs.ckpt"
done

# What grades measurements, of discs outlined where they are located: a fold's patients by a locator that never saw them.
for fold in 0 1 2; do
  trained locator.onnx locator "$out/locator$fold" trainer=auto data=spider_phantom "data.root=$spider" \
    "data.extra.phantom=$out/spines" "data.fold=$fold" data.validation=0 fit.epochs=80
done
measured() { # FOLD LOCATOR
  trained measured.npz measured "$out/measured$1" "data.root=$spider" "data.fold=$1" \
    "segmenters=[$out/segmenter0,$out/segmenter1,$out/segmenter2]" "locator=$2"
}
exported() { # FOLDER FOLD FOLD_OF_SACS OVERRIDES...
  once "$1/bundle/model.json" spinenet export "out=$1" "start=$start" "segmenter=$out/segmenter$2" "sac=$out/sac$3" \
    "measured=$out/measured$2" "discs=[$out/discs$2]" "${@:4}"
}
for fold in 0 1 2; do
  measured "$fold" "$out/locator$fold"
  exported "$out/fold$fold" "$fold" "$fold" "locator=$out/locator$fold"
done
if [ "$start" = default ]; then measured -1 null; else measured -1 "$start"; fi

# Figures by cross-validation, and the bundle of everyone with what they calibrate.
once "$out/patients/metrics.json" spinenet evaluate "out=$out/patients" data=spider "data.root=$spider" \
  "runs=[$out/fold0,$out/fold1,$out/fold2]" "title='SPIDER, 3-fold cross-validation'"
exported "$out/all" -1 0 experiment=default_bundle "calibration=[$out/patients/calibration.json]" \
  "metrics=$out/patients/metrics.json"
# The canal's grade by its measured areas, which rest on the segmenters too.
canal=(study.size="$(many 320 192)" study.axial_size="$(many 256 128)" study.sub_slices=1 study.pixel=uint16 workers=2)
python scripts/make_phantom.py "out=$out/canal" "studies=$(many 120 3)" seed=16 study.mode=BALANCED "${canal[@]}"
python scripts/make_phantom.py "out=$out/calibration" "studies=$(many 100 3)" seed=15 study.mode=RSNA "${canal[@]}"
python scripts/fit_canal.py "$out/all/bundle" "$out/canal" "$out/calibration"
python scripts/measure_noise.py "studies=[$spider/images]" "bundle=$out/all/bundle"
echo "bundle: $out/all/bundle; it belongs in src/spinenet/model/default"

#!/usr/bin/env bash
# What others install: bash scripts/check_package.sh. Builds sdist and wheel of what is committed, installs the wheel
# alone in a new environment, reads data/sample with it outside the checkout, and holds the sizes that the README states.
#   PYTHON  interpreter that makes the environments, python3.11 or newer; python3 if unset
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

environment() { # NAME PACKAGE...
  "${PYTHON:-python3}" -m venv "$work/$1"
  "$work/$1/bin/pip" install --quiet --disable-pip-version-check -c constraints.txt "${@:2}"
}
kb() { du -sck --apparent-size "$@" | tail -1 | cut -f1; }
at_most() { # WHAT SIZE LIMIT, in kB
  printf '%s: %s kB, at most %s\n' "$1" "$2" "$3"
  [ "$2" -le "$3" ]
}

git archive --prefix=source/ HEAD | tar -x -C "$work"
environment builder hatchling
(cd "$work/source" && "$work/builder/bin/hatchling" build -d "$work/dist")
bundle=$(kb src/spinenet/model/default/*)
packed=$(($(gzip -c src/spinenet/model/default/* | wc -c) / 1024))
at_most "bundle" "$bundle" 25600
at_most "working tree without the bundle" $(($(kb "$work/source") - bundle)) 12288
at_most "wheel without the bundle" $(($(kb "$work"/dist/*.whl) - packed)) 2048
at_most "sdist without the bundle" $(($(kb "$work"/dist/*.tar.gz) - packed)) 5120

"${PYTHON:-python3}" -m venv --without-pip "$work/base"  # what is measured is what spinenet brings
"$work/builder/bin/pip" --python "$work/base/bin/python" install --quiet --disable-pip-version-check \
  -c constraints.txt "$work"/dist/*.whl
at_most "base install" "$(du -sk "$work/base" | cut -f1)" 419921  # 430 MB
cd "$work"
base/bin/spinenet verify | sed -n 1p
base/bin/spinenet predict "$root/data/sample" --out out 2> progress
base/bin/python - <<'END'
import csv

with open("out/predictions.csv", encoding="utf-8") as file:
    rows = list(csv.DictReader(file))
levels = sorted({row["level"] for row in rows})
assert set(levels) >= {"L1/L2", "L2/L3", "L3/L4", "L4/L5", "L5/S1"}, levels
print(f"the sample: {len(rows)} grades of {', '.join(levels)}")
END
for extra in train network; do
  if [ $extra = train ]; then command=(train grader); else command=(listen --allow PACS --out node); fi
  if base/bin/spinenet "${command[@]}" 2> said; then exit 1; fi
  grep "pip install 'spinenet-mri\[$extra\]'" said
done

# What journeys of many steps share: source scripts/steps.sh OUT. A finished step is skipped, a broken training goes on,
# and OUT/times.txt gets the seconds that each took. SPINENET_DRY=1 goes through all of it with a handful of studies and
# one step of training: does it hold together?
mkdir -p "$1"
times=$(cd "$1" && pwd)/times.txt

timed() { # NAME COMMAND...: run the command and note what it took
  local name=$1 began=$SECONDS
  shift
  "$@"
  echo "$((SECONDS - began)) s: $name" | tee -a "$times"
}
once() { # FILE COMMAND...: run the command unless it has already made the file
  [ -e "$1" ] || timed "$@"
}
trained() { # FILE KIND FOLDER OVERRIDES...: a run that ends with the file; one that was broken goes on, or begins again
  local made=$1 kind=$2 folder=$3 resume=false dry=()
  shift 3
  if [ -e "$folder/checkpoints/last.ckpt" ] || [ -d "$folder/features" ]; then
    resume=true
  elif [ ! -e "$folder/$made" ]; then
    rm -f "$folder/config.yaml" # what broke before it learnt anything
  fi
  if [ -n "${SPINENET_DRY:-}" ]; then
    dry=(fit.steps=1 fit.max_batches=1 fit.batch_size=2)
    case $kind in
      measured) dry=(forest.trees=2) ;;
      grader) [[ " $* " == *" init="* ]] || dry+=(model.width=8) ;;
      discs) dry+=(model.encoder=small model.weights=random) ;;
      locator | segmenter) # what has learnt one step finds no disc: the package's networks, hardly changed
        dry+=(fit.learning_rate=1.0e-7)
        [[ " $* " == *" init="* ]] || dry+=(init=default)
        ;;
    esac
  fi
  once "$folder/$made" spinenet train "$kind" "out=$folder" "resume=$resume" "$@" ${dry[@]+"${dry[@]}"}
}
many() { # NUMBER FEW: the number, or the few of a dry run
  if [ -n "${SPINENET_DRY:-}" ]; then echo "$2"; else echo "$1"; fi
}

"""What a study may cost: some three times what it costs on a quiet core, as test machines are slow and shared."""

import subprocess
import sys
import time

from spinephantom import make_study
from spinephantom.shapes import kernels

LIMIT_S, PLAIN_LIMIT_S, MEMORY_MB = 10.0, 40.0, 450.0


def test_a_three_series_study_takes_seconds_of_one_core() -> None:
    make_study(3, slices=1, size=64, axial_size=64, sub_slices=1)  # compiles what is not on disc yet
    start = time.process_time()
    study = make_study(4)
    spent = time.process_time() - start
    assert sum(len(stack.mask_SRC) for item in study.series for stack in item.stacks) >= 35
    assert spent < (LIMIT_S if kernels.compiled() else PLAIN_LIMIT_S)


def test_a_worker_needs_a_few_hundred_megabytes() -> None:
    code = "from spinephantom.acceptance import cost; print(*cost(4, studies=1))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, memory_mb = map(float, done.stdout.split())
    assert seconds > 0.0
    assert 100.0 < memory_mb < MEMORY_MB

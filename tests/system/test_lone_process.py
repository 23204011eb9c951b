"""A process that does one thing after the other may die or hang: that costs one of them."""

import os
import time

import pytest

from spinenet.system.lone_process import LoneProcess, ProcessLostError


def odd_work(item: str) -> str:
    if item == "die":
        os._exit(9)
    if item == "hang":
        time.sleep(600)
    if item == "fail":
        raise ValueError("not this one")
    return f"{item} by {os.getpid()}"


def test_work_that_dies_hangs_or_fails_costs_itself_alone() -> None:
    work = LoneProcess[str, str](odd_work, timeout_s=20.0)
    first = work("one")
    assert work("one") == first  # in the same process, which is another than this
    assert str(os.getpid()) not in first
    with pytest.raises(ValueError, match="not this one"):
        work("fail")
    assert work("one") == first
    with pytest.raises(ProcessLostError, match="died"):
        work("die")
    assert work("one") != first
    work.timeout_s = 0.5
    with pytest.raises(ProcessLostError, match="longer than"):
        work("hang")
    work.timeout_s = 20.0
    assert work("two").startswith("two")
    work.end()

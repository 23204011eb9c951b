"""A program that crashes, hangs or wants too much costs the request that made it do so, no other and nobody else."""

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from spinenet.system.lone_process import ProcessLateError, ProcessLostError
from spinenet.system.piped_process import PipedProcess

PROGRAM = """
import os, resource, signal, struct, sys, time
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]),) * 2)
while head := sys.stdin.buffer.read(8):
    asked = sys.stdin.buffer.read(*struct.unpack("<Q", head)).decode()
    if asked == "die":
        os.kill(os.getpid(), signal.SIGSEGV)
    if asked == "hang":
        time.sleep(600)
    if asked == "lie":
        sys.stdout.buffer.write(struct.pack("<Q", 1 << 40))
    try:
        taken = bytes(1 << 29 if asked == "want" else 1)
        answer = f"{asked} {os.getpid()}".encode()
    except MemoryError:
        answer = b"no memory"
    sys.stdout.buffer.write(struct.pack("<Q", len(answer)) + answer)
    sys.stdout.buffer.flush()
"""


@pytest.fixture
def program(tmp_path: Path) -> Iterator[PipedProcess]:
    (tmp_path / "program.py").write_text(PROGRAM)
    process = PipedProcess(tmp_path / "program.py", timeout_s=60.0, memory_bytes=1 << 28)
    yield process
    process.end()


def test_a_request_that_ends_the_program_costs_itself_alone(program: PipedProcess) -> None:
    first = program(b"one")
    assert first.startswith(b"one ") and program(b"one") == first and str(os.getpid()).encode() not in first
    for asked in (b"die", b"lie"):
        with pytest.raises(ProcessLostError, match="crashed"):
            program(asked)
        assert program(b"one") != first
    program.timeout_s = 0.5
    with pytest.raises(ProcessLateError, match="longer than"):
        program(b"hang")
    program.timeout_s = 60.0
    assert program(b"two").startswith(b"two ")


def test_the_program_gets_no_more_memory_than_it_may_have(program: PipedProcess) -> None:
    assert program(b"want") == b"no memory"


def test_threads_get_the_answers_to_their_own_requests(program: PipedProcess) -> None:
    answers: dict[int, bytes] = {}

    def ask(number: int) -> None:
        for _ in range(20):
            answers[number] = program(str(number).encode())

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answers[number].split()[0] for number in range(5)] == [b"0", b"1", b"2", b"3", b"4"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system forks no process")
def test_a_process_that_was_forked_off_has_a_program_of_its_own(program: PipedProcess) -> None:
    before = program(b"one")
    child = os.fork()
    if not child:
        is_other = program(b"one") != before
        program.end()
        os._exit(0 if is_other else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert program(b"one") == before


def test_nothing_of_ours_is_loaded_to_decode() -> None:
    from spinenet.readers.dicom import decoders

    lines = Path(decoders.__file__).read_text().splitlines()
    assert not [line for line in lines if line.startswith(("import", "from")) and "spinenet" in line]
    loaded = {line.split()[1].split(".")[0] for line in lines if line.startswith(("import", "from"))}
    assert loaded <= sys.stdlib_module_names

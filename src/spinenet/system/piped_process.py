"""A small program that answers one request after the other, and may crash or hang without its caller.

For code that strangers' bytes may end: a decoder written in C. Unlike ``lone_process`` it loads nothing of ours, so it
starts in the time that Python needs, and whoever calls it may be a script without a main guard.

Requests come on standard input, answers go to standard output, each behind its length (8 bytes, little endian). The
program gets the most memory it may take, in bytes, and the paths of packages as its arguments.
"""

import atexit
import os
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

from spinenet.system.lone_process import ProcessLateError, ProcessLostError

MAX_ANSWER_BYTES = 1 << 28
_LENGTH = struct.Struct("<Q")
"""What goes before each request and each answer."""


class PipedProcess:
    """``program``, a Python file, started when it is first needed and again when it was lost.

    It is ended where a request takes longer than ``timeout_s`` or the system will not give it more than
    ``memory_bytes``. Threads wait for each other; a process that was forked off has one of its own.
    """

    def __init__(self, program: Path, timeout_s: float, memory_bytes: int) -> None:
        self.program, self.timeout_s, self.memory_bytes = program, timeout_s, memory_bytes
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        atexit.register(self.end)

    def __call__(self, request: bytes) -> bytes:
        """The answer to a request; ProcessLostError where there came none."""
        with self._lock:
            process = self._running()
            is_late = threading.Event()
            timer = threading.Timer(self.timeout_s, _end_late, (process, is_late))
            timer.start()
            try:
                answer = _asked(process, request)
            except (OSError, EOFError) as error:
                self.end()
                if is_late.is_set():
                    raise ProcessLateError(f"took longer than {self.timeout_s:.0f} s and was ended") from error
                raise ProcessLostError("crashed") from error
            finally:
                timer.cancel()
            if is_late.is_set():  # it was ended just after it had answered
                self.end()
            return answer

    def end(self) -> None:
        """End the program, whatever it does."""
        process, self._process = self._process, None
        if process is None or self._owner != os.getpid():
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
            self.end()
            # Of the surroundings it gets the paths of packages alone, without the site's start-up files: half the time.
            command = [sys.executable, "-I", "-S", str(self.program), str(self.memory_bytes), *filter(None, sys.path)]
            one_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=one_thread
            )
            self._owner = os.getpid()
        return self._process


def _end_late(process: "subprocess.Popen[bytes]", is_late: threading.Event) -> None:
    is_late.set()
    process.kill()


def _asked(process: "subprocess.Popen[bytes]", request: bytes) -> bytes:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(_LENGTH.pack(len(request)) + request)
    process.stdin.flush()
    (length,) = _LENGTH.unpack(_exactly(process.stdout, _LENGTH.size))
    if length > MAX_ANSWER_BYTES:
        raise EOFError("no answer of that length is expected")
    return _exactly(process.stdout, length)


def _exactly(pipe: IO[bytes], count: int) -> bytes:
    read = pipe.read(count)
    if len(read) < count:
        raise EOFError("the pipe was closed")
    return read

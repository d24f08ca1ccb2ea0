"""The process of one model: `python -m omni.inference.serving.child '{"memory_bytes": …}'`.

It loads the runtime, confines itself, says `ready`, and answers frames from standard input on standard output until
its input ends. A request that takes more CPU time than it may ends the process by SIGPROF.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

from omni.inference.serving import frames, sandbox

if TYPE_CHECKING:
    import onnxruntime

MESSAGE_CHARS = 400
KIB = 1024
_PEAK = re.compile(rb"^VmHWM:\s*(\d+) kB", re.MULTILINE)
WARM_UP = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201675a0f0a0178120a0a0808011204"
    "0a020801620f0a0179120a0a08080112040a02080142040a001011"
)
"""A model of one Identity over float32 [1], named x and y, opset 17."""


class TooMuch(Exception):
    """The answer is larger than the caller takes."""


def main() -> None:
    """Serves until standard input ends."""
    limits = json.loads(sys.argv[1])
    libc = ctypes.CDLL(None, use_errno=True)
    guarantees = sandbox.detach(libc)
    model = Model()
    model.warm_up()
    memory = Memory()
    guarantees |= sandbox.confine(libc, limits["memory_bytes"])
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    source, out = sys.stdin.buffer, sys.stdout.buffer
    _write(out, memory, {"ready": True, "guarantees": guarantees})
    while (frame := frames.read(source)) is not None:
        _write(out, memory, *_handled(model, *frame))


def _write(out: BinaryIO, memory: Memory, header: Mapping[str, Any], payload: Sequence[bytes] = ()) -> None:
    out.write(frames.pack({**header, "memory_bytes": memory.peak_bytes()}, payload))
    out.flush()


class Memory:
    """How much memory the process has had at most, read from a file that was opened before no other can be.

    What getrusage says is no less than what the process that started this one had.
    """

    def __init__(self) -> None:
        self._file = os.open("/proc/self/status", os.O_RDONLY)

    def peak_bytes(self) -> int:
        """The peak of what lay in memory."""
        os.lseek(self._file, 0, os.SEEK_SET)
        found = _PEAK.search(os.read(self._file, 8 * KIB))
        return int(found[1]) * KIB if found is not None else 0


def _handled(model: Model, header: Mapping[str, Any], payload: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """The answer to one frame; a model that fails is an answer, too."""
    started = time.thread_time_ns()
    signal.setitimer(signal.ITIMER_PROF, header["cpu_seconds"])
    answer: dict[str, Any]
    parts: list[bytes] = []
    try:
        if header["do"] == "load":
            answer = model.load(payload)
        else:
            answer, parts = model.run(header, payload)
    except MemoryError:
        answer = {"failed": "memory", "message": "It needs more memory than it may have."}
    except TooMuch as error:
        answer = {"failed": "output", "message": str(error)}
    except Exception as error:  # noqa: BLE001 the edge of the process: what the runtime raises is the model's failure
        answer = _failure(error)
    signal.setitimer(signal.ITIMER_PROF, 0)
    return {**answer, "cpu_nanos": time.thread_time_ns() - started}, parts


def _failure(error: Exception) -> dict[str, Any]:
    text = " ".join(str(error).split())
    if "bad_alloc" in text or "Failed to allocate memory" in text:
        return {"failed": "memory", "message": "It needs more memory than it may have."}
    return {"failed": "run", "message": text[:MESSAGE_CHARS]}


class Model:
    """The runtime and the one session in it."""

    def __init__(self) -> None:
        import numpy  # noqa: PLC0415 only the process of a model loads the runtime
        import onnxruntime as runtime  # noqa: PLC0415

        from omni.inference.serving import tensors  # noqa: PLC0415

        runtime.set_default_logger_severity(4)
        self._numpy, self._runtime, self._tensors = numpy, runtime, tensors
        self._session: onnxruntime.InferenceSession | None = None

    def warm_up(self) -> None:
        """Loads all that the runtime loads late: afterwards no file can be opened."""
        self.load(WARM_UP)
        heads, parts = self._tensors.describe({"x": self._numpy.zeros(1, self._numpy.float32)})
        self.run({"inputs": heads, "most_bytes": KIB}, parts[0])
        _failure(ValueError("é"))

    def load(self, data: bytes) -> dict[str, Any]:
        """Takes a model in place of the one before; says what goes in and comes out."""
        options = self._runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = self._runtime.ExecutionMode.ORT_SEQUENTIAL
        options.enable_cpu_mem_arena = False
        options.use_deterministic_compute = True
        options.log_severity_level = 4
        self._session = None
        session = self._runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self._session = session
        return {
            "inputs": [_described(each) for each in session.get_inputs()],
            "outputs": [_described(each) for each in session.get_outputs()],
        }

    def run(self, header: Mapping[str, Any], payload: bytes) -> tuple[dict[str, Any], list[bytes]]:
        """The outputs for the inputs. Raises TooMuch when they are more than `most_bytes`."""
        assert self._session is not None
        inputs = self._tensors.restore(header["inputs"], payload)
        names = [each.name for each in self._session.get_outputs()]
        outputs = dict(zip(names, self._session.run(names, inputs), strict=True))
        for name, array in outputs.items():
            if not isinstance(array, self._numpy.ndarray):
                raise TooMuch(f"Output {name!r} is no tensor.")
        if sum(array.nbytes for array in outputs.values()) > header["most_bytes"]:
            raise TooMuch(f"The outputs have more than {header['most_bytes']} bytes. Send fewer rows at once.")
        heads, parts = self._tensors.describe(outputs)
        return {"outputs": heads}, parts


def _described(node: Any) -> dict[str, Any]:
    return {"name": node.name, "type": node.type, "shape": list(node.shape)}


if __name__ == "__main__":
    main()

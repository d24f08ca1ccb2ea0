"""A model's process for real: what it does, what it may not do, how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from onnx import TensorProto, helper

from omni.inference.serving.batching import join, split
from omni.inference.serving.process import ChildProcess, ModelFailed, ProcessEnded
from tests.inference import onnx_files

MIB = 1024 * 1024
MEMORY = 1024 * MIB
SECONDS = 30.0
NONSENSE = r"import os, time; os.write(1, b'\xff' * 100); time.sleep(60)"
CONFINED = """
import ctypes, json, os, resource, socket, sys, threading
from omni.inference.serving import sandbox
libc = ctypes.CDLL(None, use_errno=True)
said = sandbox.detach(libc) | sandbox.confine(libc, 1 << 30)
def opens(): open("/etc/hostname")
def connects(): socket.socket()
def forks(): os.fork()
def runs(): os.execv("/bin/true", ["true"])
def threads(): threading.Thread(target=print).start()
def kills(): os.kill(os.getppid(), 0)
def raises_limit(): resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))
def maps_code(): __import__("mmap").mmap(-1, 4096, prot=7)
def writes(): os.open("x", os.O_CREAT | os.O_WRONLY)
def allocates(): bytearray(2 << 30)
could = []
for attempt in (opens, connects, forks, runs, threads, kills, raises_limit, maps_code, writes, allocates):
    try:
        attempt()
        could.append(attempt.__name__)
    except (OSError, RuntimeError, ValueError, MemoryError, ImportError):
        pass
os.write(1, json.dumps({"said": said, "could": could}).encode())
"""


@asynccontextmanager
async def child(data: bytes) -> AsyncIterator[ChildProcess]:
    process = await ChildProcess.start(MEMORY)
    try:
        await process.load(data, SECONDS, SECONDS)
        yield process
    finally:
        await process.close()


def x(*rows: list[float]) -> dict[str, np.ndarray]:
    return {"x": np.array(rows, np.float32)}


async def test_it_answers_and_says_what_it_took() -> None:
    async with child(onnx_files.linear([[1.0], [2.0]])) as process:
        ran = await process.run(x([1, 1], [0, 3]), SECONDS, SECONDS)
        assert ran.outputs["y"].tolist() == [[3.0], [6.0]]
        assert ran.cpu_nanos > 0
        assert 20 * MIB < process.memory_bytes < MEMORY


async def test_rows_are_answered_alike_alone_and_joined() -> None:
    random = np.random.default_rng(1)
    requests = [{"x": random.normal(size=(n, 16)).astype(np.float32)} for n in (1, 5, 2, 9, 1)]
    async with child(onnx_files.linear(random.normal(size=(16, 8)).tolist())) as process:
        alone = [(await process.run(each, SECONDS, SECONDS)).outputs["y"] for each in requests]
        together = split((await process.run(join(requests), SECONDS, SECONDS)).outputs, [1, 5, 2, 9, 1])
    assert together is not None
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other["y"], rtol=1e-5, atol=1e-6)


async def test_texts_and_every_type_of_number_come_back_as_they_went() -> None:
    async with child(onnx_files.identity(TensorProto.STRING)) as process:
        texts = np.array([["é", ""], ["a b", "ž\n"]], object)
        assert (await process.run({"x": texts}, SECONDS, SECONDS)).outputs["y"].tolist() == texts.tolist()
    async with child(onnx_files.identity(TensorProto.INT64)) as process:
        numbers = np.array([[2**62, -1]], np.int64)
        assert (await process.run({"x": numbers}, SECONDS, SECONDS)).outputs["y"].tolist() == numbers.tolist()


async def test_what_the_runtime_refuses_leaves_the_process_alive() -> None:
    async with child(onnx_files.linear([[1.0], [2.0]])) as process:
        with pytest.raises(ModelFailed) as failed:
            await process.run(x([1, 2, 3]), SECONDS, SECONDS)
        assert failed.value.kind == "run"
        assert (await process.run(x([1, 1]), SECONDS, SECONDS)).outputs["y"].tolist() == [[3.0]]


async def test_too_much_memory_is_refused_by_the_kernel() -> None:
    async with child(onnx_files.allocating()) as process:
        one = np.ones(1, np.float32)
        ran = await process.run({"x": one, "count": np.array([1_000])}, SECONDS, SECONDS)
        assert ran.outputs["y"] == 1_000
        with pytest.raises(ModelFailed) as failed:
            await process.run({"x": one, "count": np.array([1 << 29])}, SECONDS, SECONDS)
        assert failed.value.kind == "memory"


async def test_too_much_cpu_time_ends_it() -> None:
    turns = {"turns": np.array(1 << 60), "x": np.ones(1, np.float32)}
    async with child(onnx_files.looping()) as process:
        assert (await process.run({**turns, "turns": np.array(3)}, SECONDS, SECONDS)).outputs["y"].tolist() == [1.0]
        with pytest.raises(ProcessEnded) as ended:
            await process.run(turns, 0.2, SECONDS)
        assert ended.value.args == ("cpu",)
    async with child(onnx_files.looping()) as process:
        with pytest.raises(ProcessEnded) as ended:
            await process.run(turns, SECONDS, 0.2)
        assert ended.value.args == ("time",)


async def test_outputs_beyond_the_limit_are_not_sent() -> None:
    made = onnx_files.graph(
        [helper.make_node("Expand", ["x", "count"], ["y"])],
        [onnx_files.value("x", [1]), onnx_files.value("count", [1], TensorProto.INT64)],
        [onnx_files.value("y", ["n"])],
    )
    async with child(bytes(onnx_files.model(made).SerializeToString())) as process:
        with pytest.raises(ModelFailed) as failed:
            await process.run({"x": np.ones(1, np.float32), "count": np.array([9 * MIB])}, SECONDS, SECONDS)
        assert failed.value.kind == "output"


async def test_a_process_that_is_killed_is_noticed() -> None:
    async with child(onnx_files.linear([[1.0]])) as process:
        process._process.kill()
        with pytest.raises(ProcessEnded) as ended:
            await process.run(x([1]), SECONDS, SECONDS)
        assert ended.value.args == ("killed",)


async def test_a_process_that_talks_nonsense_is_ended() -> None:
    process = ChildProcess(
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", NONSENSE, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
    )
    with pytest.raises(ProcessEnded):
        await process.run(x([1]), SECONDS, SECONDS)
    assert process._process.returncode is not None


@pytest.mark.skipif(os.uname().machine not in ("x86_64", "aarch64"), reason="the filter knows two machines")
def test_a_confined_process_can_compute_and_nothing_else() -> None:
    done = subprocess.run([sys.executable, "-c", CONFINED], capture_output=True, check=True, timeout=60)
    answer = json.loads(done.stdout)
    assert answer["could"] == []
    assert {name for name, holds in answer["said"].items() if holds} >= {"no_new_privileges", "limits", "filtered"}


def test_it_gets_no_environment_and_no_descriptor_of_the_backends() -> None:
    script = (
        "import asyncio, os\n"
        "from omni.inference.serving.process import ChildProcess\n"
        "async def main():\n"
        "    process = await ChildProcess.start(1 << 30)\n"
        "    pid = process._process.pid\n"
        "    print(sorted(os.listdir(f'/proc/{pid}/fd')), open(f'/proc/{pid}/environ').read().count('SECRET'),"
        "        os.readlink(f'/proc/{pid}/fd/3') == f'/proc/{pid}/status')\n"
        "    await process.close()\n"
        "asyncio.run(main())\n"
    )
    environment = {**os.environ, "SECRET": "SECRET"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, env=environment, text=True)
    assert done.stdout.strip() == "['0', '1', '2', '3'] 0 True", "pipes, and what it reads its own memory from"

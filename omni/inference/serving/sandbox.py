"""What a model's process may do: compute, and read and write the pipes that it has.

Limits of the kernel hold everywhere; the filter of system calls (seccomp) on Linux, x86-64 and 64-bit Arm. Decision
0033 says what is guaranteed where.
"""

from __future__ import annotations

import ctypes
import os
import platform
import resource
import signal
import struct
from dataclasses import dataclass

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 1, 1
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | 1  # SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO with EPERM
PROT_EXEC = 4
GIVES_WAY = 5
"""Niceness: models give way to the backend that feeds them."""
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06  # BPF: ld word, jeq, jset, ret
_NUMBER, _ARCH, _THIRD_ARGUMENT = 0, 4, 32  # offsets in struct seccomp_data; the low half of args[2]


@dataclass(frozen=True, slots=True)
class _Machine:
    """Numbers of system calls. `allowed`: read write close fstat poll lseek munmap brk rt_sigaction rt_sigprocmask
    rt_sigreturn sched_yield mremap madvise nanosleep setitimer getpid exit gettimeofday getrusage times sigaltstack
    gettid futex sched_getaffinity clock_gettime clock_getres restart_syscall clock_nanosleep exit_group getcpu
    getrandom membarrier rseq. `mapping`: mmap mprotect, which are allowed without PROT_EXEC.
    """

    audit_arch: int
    seccomp: int
    mapping: tuple[int, ...]
    allowed: tuple[int, ...]


_MACHINES = {
    "x86_64": _Machine(
        0xC000003E, 317, (9, 10),
        (0, 1, 3, 5, 7, 8, 11, 12, 13, 14, 15, 24, 25, 28, 35, 38, 39, 60, 96, 98, 100, 131, 186, 202, 204, 228, 229,
         219, 230, 231, 309, 318, 324, 334),
    ),
    "aarch64": _Machine(
        0xC00000B7, 277, (222, 226),
        (63, 64, 57, 80, 73, 62, 215, 214, 134, 135, 139, 124, 216, 233, 101, 103, 172, 93, 169, 165, 153, 132, 178,
         98, 123, 113, 114, 128, 115, 94, 168, 278, 283, 293),
    ),
}  # fmt: skip


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def detach(libc: ctypes.CDLL) -> dict[str, bool]:
    """Before anything is loaded: end with the parent, give way to it, gain no privileges, and where the kernel lets us
    have no network.
    """
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.nice(GIVES_WAY)
    return {
        "no_new_privileges": libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0,
        "own_network": libc.unshare(CLONE_NEWNET) == 0 or libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0,
    }


def confine(libc: ctypes.CDLL, memory_bytes: int) -> dict[str, bool]:
    """Once everything is loaded: no more memory than this in all, no file, no process, no core dump, and only the
    system calls that computing needs. Says whether the filter of system calls holds.
    """
    for limit, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_NOFILE, 3),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    return {"limits": True, "filtered": _filter(libc)}


def _filter(libc: ctypes.CDLL) -> bool:
    machine = _MACHINES.get(platform.machine())
    if machine is None or os.name != "posix":
        return False
    code = _instructions(machine)
    program = _Program(len(code) // 8, code)
    done = libc.syscall(machine.seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, ctypes.byref(program))
    return int(done) == 0


def _instructions(machine: _Machine) -> bytes:
    """A classic BPF program (linux/filter.h): what is not listed fails with EPERM."""
    lines = [
        (_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, machine.audit_arch), (_RETURN, 0, 0, REFUSE), (_LOAD, 0, 0, _NUMBER),
    ]  # fmt: skip
    for number in machine.allowed:
        lines += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, ALLOW)]
    for number in machine.mapping:
        lines += [
            (_EQUAL, 0, 4, number), (_LOAD, 0, 0, _THIRD_ARGUMENT), (_ANY_BIT, 1, 0, PROT_EXEC),
            (_RETURN, 0, 0, ALLOW), (_RETURN, 0, 0, REFUSE),
        ]  # fmt: skip
    lines.append((_RETURN, 0, 0, REFUSE))
    return b"".join(struct.pack("=HBBI", *line) for line in lines)

"""A process that may not open a socket of the network, nor may its children: the kernel ends who tries.

Linux's seccomp; what native code does is seen as well, which hooks in Python would miss.
"""

from __future__ import annotations

import ctypes
import platform
import signal
import struct

# System call `socket`, and what the kernel calls the machine (linux/audit.h).
_MACHINES = {"x86_64": (41, 0xC000003E), "aarch64": (198, 0xC00000B7)}
_AF_INET, _AF_INET6, _AF_NETLINK = 2, 10, 16
_KILL, _ALLOW = 0x80000000, 0x7FFF0000
_LOAD, _EQUAL, _RETURN = 0x20, 0x15, 0x06

ENDED = -signal.SIGSYS
"""How a process ends that tried."""


def possible() -> bool:
    return platform.system() == "Linux" and platform.machine() in _MACHINES


def forbid_network() -> None:
    """From here on, in this process and its children; there is no way back."""
    call, machine = _MACHINES[platform.machine()]
    # Each line: operation, steps to skip if true, if false, operand (linux/filter.h).
    lines = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 0, 6, machine),
        (_LOAD, 0, 0, 0),
        (_EQUAL, 0, 4, call),
        (_LOAD, 0, 0, 16),
        (_EQUAL, 3, 0, _AF_INET),
        (_EQUAL, 2, 0, _AF_INET6),
        (_EQUAL, 1, 0, _AF_NETLINK),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _KILL),
    ]
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(lines), ctypes.addressof(program)))
    kernel = ctypes.CDLL(None, use_errno=True)
    for request in ((38, 1, 0, 0, 0), (22, 2, ctypes.addressof(header), 0, 0)):
        if kernel.prctl(*(ctypes.c_ulong(value) for value in request)):
            raise OSError(ctypes.get_errno(), "prctl")

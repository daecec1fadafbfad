#!/usr/bin/python3
"""Runs a program as on a kernel that lacks Landlock or seccomp filters.

    tests/support/older_kernel.py landlock|seccomp PROGRAM [ARGUMENT...]

A filter, which its children have too, answers the calls in question as such a kernel would.
"""

import ctypes
import errno
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, MODE_FILTER = 38, 22, 2
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7FFF0000, 0x00050000
# landlock_create_ruleset has the same number everywhere, seccomp has not.
CALLS = {"landlock": (444, errno.EOPNOTSUPP), "seccomp": ({"x86_64": 317, "aarch64": 277}[os.uname().machine], errno.ENOSYS)}


def instruction(code, if_true, if_false, value):
    return struct.pack("HBBI", code, if_true, if_false, value)


def lack(number, error):
    code = b"".join([instruction(LOAD, 0, 0, 0), instruction(JUMP_IF_EQUAL, 0, 1, number),
                     instruction(RETURN, 0, 0, ERRNO | error), instruction(RETURN, 0, 0, ALLOW)])
    memory = ctypes.create_string_buffer(code)
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    for call in ((PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, MODE_FILTER, ctypes.c_char_p(program), 0, 0)):
        if libc.prctl(*call) != 0:
            sys.exit(f"prctl: {os.strerror(ctypes.get_errno())}")


if __name__ == "__main__":
    lack(*CALLS[sys.argv[1]])
    os.execv(sys.argv[2], sys.argv[2:])

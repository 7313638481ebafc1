# SPDX-License-Identifier: GPL-3.0-or-later
"""How the C library deals with large blocks of memory, while a network is made ready."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

# Of glibc's malloc.h: blocks as large as this come from the system and go back to it; so much may lie unused.
M_MMAP_THRESHOLD, M_TRIM_THRESHOLD = -3, -1
SMALL, LARGE = 1 << 20, 32 << 20


@contextmanager
def frugal() -> Iterator[None]:
    """Inside, glibc gives blocks of a megabyte and more back to the system when they are freed.

    It would keep them otherwise, and rewriting a network leaves holes of 100 MB between its weights. Afterwards it
    keeps what is freed, as it does by itself in time: layers get their memory sooner so. Elsewhere nothing happens.
    """
    _mallopt({M_MMAP_THRESHOLD: SMALL})
    try:
        yield
    finally:
        _mallopt({M_MMAP_THRESHOLD: LARGE, M_TRIM_THRESHOLD: 2 * LARGE})


def _mallopt(options: dict[int, int]) -> None:
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl and macOS have no such thing, Windows no such way to ask
        return
    for option, value in options.items():
        mallopt(option, value)

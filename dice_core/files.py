# SPDX-License-Identifier: GPL-3.0-or-later
"""Files written whole or not at all, and what is raised for those that cannot be read."""

from __future__ import annotations

import os
import secrets
import struct
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError

from .errors import DiceError

try:
    from lzma import LZMAError
except ImportError:  # not every Python has it; without it nothing raises it
    LZMAError = OSError  # type: ignore[assignment, misc]

# What numpy and zipfile raise for damaged files: broken compression, a wrong magic number, "encrypted" by one bit.
UNREADABLE = (
    OSError, ValueError, TypeError, EOFError, RuntimeError, MemoryError, SyntaxError, LookupError, OverflowError,
    TokenError, LZMAError, struct.error, zlib.error, zipfile.BadZipFile,
)  # fmt: skip


def sync(folder: Path) -> None:
    """Let the names of a folder's files be on the disk, where the system can."""
    try:
        opened = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(opened)
    except OSError:
        pass
    finally:
        os.close(opened)


class atomic:
    """`with atomic(path) as temporary`: a sibling file to write, renamed to `path` when the block succeeds."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def __enter__(self) -> Path:
        self.temporary = self.path.parent / f".{secrets.token_hex(6)}{self.path.suffix}"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.temporary.touch(mode=0o600, exist_ok=False)
        except OSError as error:
            raise DiceError(
                f"Cannot write to the folder {self.path.parent} ({error.strerror}).",
                "Choose a folder you may write to.",
            ) from error
        except BaseException:  # Ctrl-C at a bad moment
            self.temporary.unlink(missing_ok=True)
            raise
        return self.temporary

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: object) -> None:
        try:
            if kind is None:
                mask = os.umask(0)
                os.umask(mask)
                self.temporary.chmod(0o666 & ~mask)
                os.replace(self.temporary, self.path)
        except OSError as error:  # a folder of that name, or a file that another program holds open
            value = error
        finally:
            self.temporary.unlink(missing_ok=True)
        if isinstance(value, OSError):
            raise DiceError(
                f"Cannot write {self.path.name} ({value.strerror}).", "Free some disk space or choose another place."
            ) from value

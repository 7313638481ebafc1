# SPDX-License-Identifier: GPL-3.0-or-later
"""What is often chosen in place of a model: pages, pictures, archives, pointers. Told by how the file begins."""

from __future__ import annotations

from ..errors import DiceError

START = 400  # bytes that are looked at
EXPIRED = "the download link has expired, or wants you to log in"
LOG_IN = "Log in on the page, then download the file again."
PAGE = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--", b"<script", b"<error")
PREFIXES = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the file itself", "Fetch it with `git lfs pull`."),
    (b"\x89PNG", "is a picture", ""),
    (b"\xff\xd8\xff", "is a picture", ""),
    (b"%PDF", "is a PDF document", ""),
    (b"\x1f\x8b", "is a compressed archive", "Unpack it and choose the files in it."),
    (b"7z\xbc\xaf", "is a compressed archive", "Unpack it and choose the files in it."),
    (b"\xfd7zXZ", "is a compressed file", "Unpack it first."),
)


def refuse_mistaken(name: str, start: bytes) -> None:
    """Raise a `DiceError` when a file that begins like this is no model of any kind."""
    if not start:
        raise DiceError(f"{name} is empty.", "Download it again.")
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith(PAGE):
        raise DiceError(f"{name} is a web page that was saved under this name: {EXPIRED}.", LOG_IN)
    if text.startswith((b'{"', b"{\n", b"{ ", b"[{")):
        raise DiceError(f"{name} is a server's answer (JSON) that was saved under this name: {EXPIRED}.", LOG_IN)
    for prefix, what, remedy in PREFIXES:
        if start.startswith(prefix):
            raise DiceError(f"{name} {what}.", remedy or "Choose another file.")

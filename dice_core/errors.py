# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors that a user can act on: what happened, and what to do about it."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with whatever could move a terminal's cursor escaped: names out of strange files are shown to people."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


class DiceError(Exception):
    """Something went wrong that the user can put right.

    Parameters
    ----------
    message
        What happened, one sentence.
    remedy
        What to do about it, one sentence.
    """

    exit_code = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = printable(message)
        self.remedy = printable(remedy)

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class MediaError(DiceError):
    """The picture cannot be read."""


class NothingFound(DiceError):
    """Neither a face nor a hand is in the picture."""

    exit_code = 3


class Cancelled(DiceError):
    """The user asked to stop."""

    exit_code = 130

    def __init__(self, message: str = "The capture was cancelled.", remedy: str = "") -> None:
        super().__init__(message, remedy)


class NotInstalled(DiceError):
    """The runtime, a package or a model file is missing or broken."""


class ModelsMissing(NotInstalled):
    """One of the user's own official files, which the dice engine needs, is missing or broken."""


class WorkerDied(DiceError):
    """The capture process ended without an answer."""


class Unexpected(DiceError):
    """A mistake of ours: only its report helps."""

    @classmethod
    def of(cls, error: Exception) -> Unexpected:
        """In words."""
        return cls(f"Unexpected {type(error).__name__}: {error}.", "Please report it with the log.")


KINDS: dict[str, type[DiceError]] = {
    kind.__name__: kind
    for kind in (DiceError, MediaError, NothingFound, Cancelled, NotInstalled, ModelsMissing, WorkerDied, Unexpected)
}

# SPDX-License-Identifier: GPL-3.0-or-later
"""Greyed buttons say why."""

from __future__ import annotations

import bpy


def unless(cls: type[bpy.types.Operator], reason: str) -> bool:
    """What an operator's `poll` gives: whether there is no reason against it, which its button then shows."""
    if reason:
        cls.poll_message_set(reason)
    return not reason

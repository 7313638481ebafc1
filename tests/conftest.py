# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests use the runtime in .venv, never the user's own."""

from __future__ import annotations

import os
from pathlib import Path

os.environ.setdefault("DICE_RUNTIME", str(Path(__file__).resolve().parent.parent / ".venv"))

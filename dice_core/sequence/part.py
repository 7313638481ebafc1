# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that does steps for chunks of a sequence: `python -m dice_core.sequence.part FOLDER`; `pool` starts it.

A line of JSON in, {"step", "start"}, a line out when its file is written: {}, or an error's kind, message and remedy.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any

from ..errors import DiceError, Unexpected
from .folder import Folder
from .steps import Steps, steps_of


def do(steps: Steps, folder: Folder, step: str, start: int) -> None:
    """One step for one chunk, unless that was done."""
    if not folder.has(step, start):
        folder.save(step, steps.chunk(step, start), start)


def main() -> None:
    """Take stdin and stdout for orders and answers; whatever libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    orders: queue.Queue[dict[str, Any]] = queue.Queue()
    threading.Thread(target=_listen, args=(orders,), daemon=True).start()
    folder = Folder(Path(sys.argv[1]))
    steps = None
    while True:
        order = orders.get()
        try:
            steps = steps or steps_of(folder)
            do(steps, folder, order["step"], order["start"])
            answer = {}
        except DiceError as error:
            answer = {"kind": type(error).__name__, "message": error.message, "remedy": error.remedy}
        except Exception as error:
            sys.excepthook(type(error), error, error.__traceback__)
            unexpected = Unexpected.of(error)
            answer = {"kind": "Unexpected", "message": unexpected.message, "remedy": unexpected.remedy}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _listen(orders: queue.Queue[dict[str, Any]]) -> None:
    # Whoever gave the orders is gone when stdin closes: that ends even a chunk in progress.
    for line in sys.stdin:
        orders.put(json.loads(line))
    os._exit(0)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that share a sequence's chunks."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable

from ..errors import KINDS, DiceError, WorkerDied
from ..paths import ROOT
from .folder import Folder
from .part import do
from .steps import Steps

MOST = 8
WAIT = 0.1  # seconds


class Pool:
    """Does steps for the chunks of a folder, as many at a time as there are processors.

    Use it in a `with` block: its processes end with it. They are started when they are first needed.
    """

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self._processes: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            process.kill()  # what it was writing does not appear
        for process in self._processes:
            process.wait()
            for stream in (process.stdin, process.stdout):
                stream.close()  # type: ignore[union-attr]

    def run(self, steps: Steps, step: str, starts: Iterable[int], tell: Callable[[int], None]) -> None:
        """Do a step for all chunks.

        Parameters
        ----------
        tell
            Gets the number of chunks that are done, again and again; may raise `Cancelled`.

        Raises
        ------
        DiceError
            What went wrong in a chunk; WorkerDied when a process ended.
        """
        waiting = [start for start in starts if not self.folder.has(step, start)]
        if not waiting:
            return
        tell(0)
        if len(waiting) < 2 or self._room(len(waiting)) < 2:
            for number, start in enumerate(waiting, 1):
                do(steps, self.folder, step, start)
                tell(number)
            return
        orders: queue.SimpleQueue[int] = queue.SimpleQueue()
        for start in waiting:
            orders.put(start)
        answers: queue.SimpleQueue[DiceError | None] = queue.SimpleQueue()
        for process in self._processes:
            threading.Thread(target=_attend, args=(process, step, orders, answers), daemon=True).start()
        done = 0
        while done < len(waiting):
            try:
                error = answers.get(timeout=WAIT)
            except queue.Empty:
                tell(done)
                continue
            if error is not None:
                raise error
            done += 1
            tell(done)

    def _room(self, chunks: int) -> int:
        """How many processes there are, after as many were started as are of use."""
        wanted = min(os.cpu_count() or 1, MOST, chunks)
        while 1 < wanted > len(self._processes):
            command = [sys.executable, "-m", f"{__package__}.part", str(self.folder.path)]
            self._processes.append(subprocess.Popen(
                command, cwd=ROOT, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}, text=True, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            ))  # fmt: skip
        return len(self._processes)


def _attend(process: subprocess.Popen[str], step: str, orders: queue.SimpleQueue[int],
            answers: queue.SimpleQueue[DiceError | None]) -> None:  # fmt: skip
    while True:
        try:
            start = orders.get_nowait()
        except queue.Empty:
            return
        try:
            process.stdin.write(json.dumps({"step": step, "start": start}) + "\n")  # type: ignore[union-attr]
            process.stdin.flush()  # type: ignore[union-attr]
            line = process.stdout.readline()  # type: ignore[union-attr]
            answer = json.loads(line)
        except (OSError, ValueError):  # it ended, or something else wrote to where it answers
            answers.put(WorkerDied("A process of the capture ended.", "Resume the capture: finished frames are kept."))
            return
        answers.put(KINDS[answer["kind"]](answer["message"], answer["remedy"]) if answer else None)

# SPDX-License-Identifier: GPL-3.0-or-later
"""Capture a movie again and again, killed at random moments and resumed: `python -m tests.core.killed MOVIE DIR KILLS`.

Each process is forked from this one, which has loaded everything and works with smaller chunks, so that a kill may come
in any step and many fit into a minute. Prints the folders of the captures that were completed, one a line, the first of
one that nobody interrupted.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"
from dice_core.sequence import folder as folders

folders.CHUNK = 6
from dice_core.pipeline import Pipeline  # noqa: E402
from dice_core.sequence import job, looking, open_eyes, open_steps, pool  # noqa: E402, F401
from dice_core.sequence.job import Settings  # noqa: E402

LONGEST = 1.6  # seconds until a kill


def main() -> None:
    movie, target, kills = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    os.cpu_count = lambda: 1  # processes of their own would have larger chunks
    dice, number, since = random.Random(7), 0, 13  # the first one comes to its end
    while kills > 0 or since:
        child = os.fork()
        if child == 0:
            capture(movie, target / str(number))
        if kills <= 0 or since > 12:  # it may come to its end
            _, status = os.waitpid(child, 0)
        else:
            time.sleep(dice.uniform(0.02, LONGEST))
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            kills, since = kills - os.WIFSIGNALED(status), since + 1
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0
            print(target / str(number), flush=True)
            number, since = number + 1, 0


def capture(movie: str, target: Path) -> None:
    """In a process of its own; does not return."""
    code = 1
    try:
        Pipeline().capture_sequence([movie], target, Settings(), resume=True)
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile checkpoints by the thousand: `python -m tests.core.network.fuzz FOLDER MUTATIONS BASE...`

reads each and prints a report as JSON.
BASE are good archives to be mutated. An audit hook notes whatever a reader has no business to do: run code, import,
start processes, open sockets, write files. Each case must be read or refused with a `DiceError`.
"""

from __future__ import annotations

import io
import json
import random
import resource
import sys
import time
import traceback
import zipfile
from collections.abc import Iterator
from pathlib import Path

from dice_core.errors import DiceError
from dice_core.network.checkpoint import convert, read
from dice_core.network.model import DiceNetwork
from dice_core.network.official import KNOWN
from tests.core.network.hostile import (
    FUNCTIONS,
    HARM,
    archive,
    archives,
    bombs,
    call,
    calling,
    dictionary,
    headers,
    misusing,
    module,
    name,
    number,
    numbers,
    program,
    shapes,
    storage,
    tensor,
    text,
    walking,
)

SEED = 20240
LONGEST = 30_000  # letters of a message; one may name 300 tensors that are missing
MEMORY = 400_000_000  # bytes of address space beyond what is in use at the start
EVENTS = tuple("exec compile import os. subprocess. socket. shutil. ctypes. pickle. marshal. code.".split())
QUIET = ("os.listdir", "os.scandir")

NAMES = [f"{module} {name}" for module, name in KNOWN]

Case = tuple[str, bytes]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """A few bytes changed, left out, doubled or moved."""
    result = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        start = chance.randrange(len(result))
        length = chance.choice((1, 1, 2, 4, 30))
        kind = chance.randrange(6)
        if kind == 0:
            result[start] = chance.randrange(256)
        elif kind == 1:
            del result[start : start + length]
        elif kind == 2:
            result[start:start] = result[start : start + length]
        elif kind == 3:
            other = chance.randrange(len(result))
            result[start : start + length] = result[other : other + length]
        elif kind == 4:
            result[start:start] = chance.choice(SNIPPETS)
        else:
            result[start] ^= 1 << chance.randrange(8)
        if not result:
            return data
    return bytes(result)


SNIPPETS = [
    *(b"R", b"b", b"\x81", b"(", b"t", b"u", b"e", b"0", b"2", b"Q", b"h\x00", b"}", b"]", b")", b"\x93", b"\x92"),
    *(b"\x82\x01", b"i", b"o", b"s", b"N", b"\x94", b"\xff" * 8),
    *(name("posix system") + HARM + b"\x85R", numbers(2**62), call(name("torch Size"), HARM)),
]


def random_program(chance: random.Random) -> bytes:
    """Allowed and forbidden instructions in any order."""
    pieces = [
        *SNIPPETS,
        *(name(path) for path in chance.sample(sorted(NAMES), 6)),
        *(text("a"), number(7), tensor(), storage(), module(b"}"), dictionary(a=tensor())),
        *(b"\x85", b"\x86", b"\x87", b"a", b"q\x00", b"h\x01", b"q\x01"),
    ]
    return b"".join(chance.choice(pieces) for _ in range(chance.randrange(1, 40)))


def cases(bases: list[bytes], mutations: int) -> Iterator[Case]:
    """Every case: what kind it is, and the file."""
    chance = random.Random(SEED)
    for function in FUNCTIONS:
        yield from (("call", archive(program(body))) for body in calling(function))
    for path in sorted(NAMES):
        yield from (("walk", archive(program(body))) for body in walking(path))
        yield from (("misuse", archive(program(body))) for body in misusing(path))
    yield from (("shape", archive(program(body))) for body in shapes())
    yield from (("bomb", archive(program(body))) for body in bombs())
    yield from (("archive", data) for data in archives(bases[0]))
    yield from (("header", data) for data in headers())
    for code in range(256):
        for tail in (b"", b"\x00", b"\x01" * 9, b"\xff" * 9, b"a\nb\n", b"."):
            yield "instruction", archive(program(bytes([code]) + tail))
            yield "instruction", archive(program(name("posix system") + HARM + b"\x85" + bytes([code]) + tail))
    for _ in range(mutations):
        yield "random", archive(program(random_program(chance)))
    inner = module(dictionary(_parameters=dictionary(w=tensor())), "torch.nn.modules.linear Linear")
    outer = dictionary(_parameters=dictionary(w=tensor(), b=b"N"), _buffers=b"}", _modules=dictionary(a=inner))
    small = program(module(outer))
    for length in range(len(small)):
        yield "truncated", archive(small[:length])
    for _ in range(mutations):
        yield "mutated", archive(mutated(small, chance))
    whole = archive(small)
    for _ in range(mutations):
        yield "mutated file", mutated(whole, chance)
    *bases, converted = bases
    for index in range(60):
        yield "truncated", converted[: len(converted) * index // 60]
    length = 8 + int.from_bytes(converted[:8], "little")
    for _ in range(mutations // 5):  # most of these are harmless, and then converted
        header = mutated(converted[8:length], chance)
        yield "mutated header", len(header).to_bytes(8, "little") + header + converted[length:]
    for base in bases:
        for index in range(60):
            yield "truncated", base[: len(base) * index // 60]
        with zipfile.ZipFile(io.BytesIO(base)) as zipped:
            members = {entry.partition("/")[2]: zipped.read(entry) for entry in zipped.namelist() if entry[-1] != "/"}
        pickle = members.pop("data.pkl")
        for _ in range(mutations // 20):
            yield "mutated network", archive(mutated(pickle, chance), members)
            yield "mutated network", mutated(base, chance)


class Watch:
    """What happened that reading a file has no business to do."""

    def __init__(self) -> None:
        self.noted: list[str] = []
        self.on = False
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple) -> None:
        if not self.on or event in QUIET:
            return
        if event.startswith(EVENTS) or event == "open" and arguments[1] not in ("r", "rb", None):
            self.noted.append(f"{event} {arguments[:2]}")


def attempt(path: Path, watch: Watch) -> tuple[bool, str]:
    """Read a file: whether it was taken for a checkpoint, and what was wrong about it."""
    accepted, whole, fault = False, False, ""
    watch.noted.clear()
    watch.on = True
    try:
        checkpoint = read(path)
        accepted = True
        DiceNetwork.from_state_dict(checkpoint.tensors, checkpoint.heads, checkpoint.layer_norm_eps)
        whole = True
    except DiceError as error:
        if not error.message or not error.remedy or len(str(error)) > LONGEST:
            fault = repr(error)
    except BaseException:
        fault = traceback.format_exc()
    watch.on = False
    if whole:  # of anything else, `convert` says the same again
        try:
            convert(path, path.parent / "models")
        except DiceError:
            pass
        except BaseException:
            fault = traceback.format_exc()
    return accepted, fault or "; ".join(watch.noted[:3])


def main(folder: Path, mutations: int, bases: list[bytes]) -> dict[str, object]:
    path, watch = folder / "case.bin", Watch()
    watch.on = True
    exec("1")  # the watch must see this
    assert watch.noted
    path.write_bytes(bases[0])
    watch.on = False
    DiceNetwork.from_state_dict(read(path).tensors, 2)  # imports whatever reading needs
    convert(path, folder / "models")
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))  # more ends in a MemoryError, a fault
    counts: dict[str, int] = {}
    taken, faults, slowest = 0, [], 0.0
    for kind, data in cases(bases, mutations):
        counts[kind] = counts.get(kind, 0) + 1
        path.write_bytes(data)
        start = time.process_time()
        accepted, fault = attempt(path, watch)
        slowest = max(slowest, time.process_time() - start)
        taken += accepted
        faults += [f"{kind}: {fault}"] if fault else []
    path.unlink()
    return {
        "cases": sum(counts.values()),
        "kinds": counts,
        "accepted": taken,
        "faults": faults[:20],
        "slowest_s": slowest,
        "left": sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file()),
    }


if __name__ == "__main__":
    print(json.dumps(main(Path(sys.argv[1]), int(sys.argv[2]), [Path(base).read_bytes() for base in sys.argv[3:]])))

# SPDX-License-Identifier: GPL-3.0-or-later
"""Throw damaged and malicious files at `official.read`: `python fuzz.py FOLDER CASES SEED`, prints what happened.

Every case must end in an answer or a DiceError, run nothing, write nothing, and stay within MEMORY and SECONDS.
With a fourth word, Python's own unpickler takes the place of `read`, to show that this would be noticed.
"""

from __future__ import annotations

import io
import json
import pickle  # noqa: TID251 - to write what must be refused
import random
import re
import struct
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dice_core.body.official import read
from dice_core.errors import DiceError
from tests.core.bodies import official_files as made

MEMORY = 100_000_000  # bytes of address space beyond what is in use at the start
SECONDS = 2.0  # of the processor's time: others may use it too
NAMES = [
    ("os", "system"), ("posix", "system"), ("builtins", "eval"), ("__builtin__", "exec"), ("subprocess", "Popen"),
    ("numpy", "load"), ("numpy.core", "multiarray._reconstruct"), ("numpy", "core.multiarray._reconstruct"),
    ("numpy", "ndarray.__class__"), ("_codecs", "encode.__self__"), ("torch", "load"), ("torch", "hub.load"),
    ("torch._utils", "_rebuild_tensor_v2.__globals__"), ("chumpy.ch", "Ch.__init__"), ("chumpy.ch", "loads"),
    ("scipy.sparse.csc", "np"), ("collections", "OrderedDict.__reduce__"), ("functools", "partial"), ("", ""),
]  # fmt: skip
OPCODES = b"(.0123FIJKLMNPQRSTUVXabcdeghijlopqrstu}]GBC)\x80\x81\x82" + bytes(range(0x85, 0x99))
NUMBERS = [0, 1, 2, 3, 7, 8, 255, 256, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1]


def evil(dice: random.Random) -> bytes:
    """A few instructions that call, build, or set."""
    module, name = dice.choice(NAMES)
    word = f"touch {MARKER}".encode()
    text = b"X" + struct.pack("<I", len(word)) + word
    named = dice.choice([f"c{module}\n{name}\n".encode(), short(module) + short(name) + b"\x93"])
    call = dice.choice([b"R", b"\x81", b"b", b"o", b"\x92"])
    return dice.choice([named + text + b"\x85" + call, named + b"(" + text + b"t" + call,
                        b"(" + named + text + b"u", f"(i{module}\n{name}\n".encode(), named + text + b"s",
                        named + b"}(" + short("__setstate__") + named + b"ub" + text + b"b"])  # fmt: skip


def short(text: str) -> bytes:
    return b"\x8c" + bytes([len(text)]) + text.encode()


def flip(data: bytearray, dice: random.Random) -> None:
    for _ in range(dice.choice([1, 1, 2, 5, 20])):
        data[dice.randrange(len(data))] = dice.choice([dice.randrange(256), dice.choice(OPCODES)])


def truncate(data: bytearray, dice: random.Random) -> None:
    del data[dice.randrange(len(data)) :]


def cut(data: bytearray, dice: random.Random) -> None:
    start = dice.randrange(len(data))
    del data[start : start + dice.choice([1, 2, 4, 8, 64])]


def repeat(data: bytearray, dice: random.Random) -> None:
    start = dice.randrange(len(data))
    piece = data[start : start + dice.choice([1, 3, 10, 100])]
    data[start:start] = piece * dice.choice([1, 2, 50])


def stretch(data: bytearray, dice: random.Random) -> None:
    """Other numbers where lengths and shapes are."""
    places = [found.start() for found in re.finditer(rb"[KMJTXBU\x8c\x8a]", data)]
    for place in dice.sample(places, min(len(places), dice.choice([1, 1, 3]))):
        code, value = data[place : place + 1], dice.choice(NUMBERS)
        size = {b"K": 1, b"U": 1, b"\x8c": 1, b"\x8a": 1, b"M": 2}.get(bytes(code), 4)
        data[place + 1 : place + 1 + size] = (value % (1 << 8 * size)).to_bytes(size, "little")


def inject(data: bytearray, dice: random.Random) -> None:
    place = dice.randrange(len(data))
    data[place:place] = evil(dice)


def rename(data: bytearray, dice: random.Random) -> None:
    """Another name where one is asked for."""
    starts = [found.start() for found in re.finditer(rb"cnum|csci|cchu|ctor|c__b", data)]
    if starts:
        start = dice.choice(starts)
        end = data.find(b"\n", data.find(b"\n", start) + 1) + 1
        data[start : max(end, start + 1)] = "c{}\n{}\n".format(*dice.choice(NAMES)).encode()


def grow(data: bytearray, dice: random.Random) -> None:
    """A random program instead."""
    data[:] = b"\x80" + bytes([dice.randrange(6)])
    for _ in range(dice.randrange(1, 80)):
        data += dice.choice([bytes([dice.choice(OPCODES)]), b"K\x01", short("x"), evil(dice), b"q\x00", b"h\x00"])
    data += b"."


MUTATIONS: list[Callable[[bytearray, random.Random], None]] = [
    flip, flip, truncate, cut, repeat, stretch, stretch, inject, inject, rename, grow,
]  # fmt: skip


def seeds() -> dict[str, bytes]:
    """Small files of every format, which mutations can take apart."""
    small = {"v_template": np.zeros((4, 3)), "f": np.zeros((2, 3), np.uint32), "bs_style": "lbs"}
    model = small | {"shapedirs": made.Select(np.ones((4, 3, 2))), "J_regressor": made.csc_matrix(np.eye(3))}
    head = small | {"shapedirs": made.Ch(np.ones((5, 3, 4))), "v_template": made.Ch(np.zeros((5023, 3)))}
    hand = small | {"v_template": np.zeros((778, 3))}
    plain, levels = io.BytesIO(), {"D": [made.Coordinates(np.arange(3), np.arange(3), (3, 5))], "U": []}
    np.save(plain, np.arange(40))
    return {
        "model.pkl": made.dump(model),
        "clean.pkl": made.dump(small, 4, python2=False),
        "new.pkl": pickle.dumps(small, 5),
        "head.pkl": made.dump(head),
        "hand.pkl": made.dump(hand),
        "embedding.npy": made.npy_object(made.embedding()),
        "plain.npy": plain.getvalue(),
        "levels.pt": made.torch_zip(levels),
        "array.pt": made.torch_zip(np.zeros((5, 3), np.float32)),
        "legacy.pt": legacy(),
    }


def legacy() -> bytes:
    """As torch wrote before version 1.6: one tensor of three numbers."""
    tensor = (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x007"
        b"X\x03\x00\x00\x00cpuK\x03NtQK\x00K\x03\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR."
    )
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)
    return magic + tensor + pickle.dumps(["7"], 2) + struct.pack("<q3f", 3, 1, 2, 3)


def bombs() -> dict[str, bytes]:
    """Small files that want to be large, or that hold one another."""

    def archive(compression: int, **members: bytes) -> bytes:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", compression) as made_zip:
            for name, content in members.items():
                made_zip.writestr("x/" + name.replace("__", "/").replace("_pkl", ".pkl"), content)
        return file.getvalue()

    storage = made.torch_zip(np.zeros(3))
    tensor = zipfile.ZipFile(io.BytesIO(storage)).read("made_up/data.pkl")
    many = b"\x80\x02(" + tensor[2:-1] * 1500 + b"t."
    zeros = bytes(MEMORY + 10_000_000)
    packed = archive(zipfile.ZIP_DEFLATED, **{"v_template.npy": zeros})
    state = b"(K\x03" + short("<") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    dtype = b"cnumpy\ndtype\n" + short("f8") + b"K\x00K\x01\x87R" + state
    doubled = b"K\x01" + b"".join(b"q%ch%c\x86" % (n, n) for n in range(90))

    def shaped(shape: bytes) -> bytes:
        array = b"cnumpy\nndarray\n)R(K\x01" + shape + dtype + b"\x89" + short("12345678") + b"tb"
        return b"\x80\x02}" + short("v_template") + array + b"s."

    def key(index: int) -> bytes:
        number = (index * (2**61 - 1)).to_bytes(16, "little")  # which all have Python's hash 0
        return b"\x8a\x10" + number

    sparse = made.csc_matrix(np.zeros((1, 1)))
    sparse._shape = (2**24, 1)
    select = np.zeros(1_000_000, int)
    for _ in range(8):
        select, inner = made.Select(np.zeros((1, 1, 1))), select
        select.a, select.idxs, select.preferred_shape = inner, inner, (1_000_000,)
    level = b"ctorch._utils\n_rebuild_sparse_tensor\n)Rq\x00"
    return {
        "a compressed pickle": archive(zipfile.ZIP_DEFLATED, data_pkl=zeros),
        "a compressed storage": archive(zipfile.ZIP_DEFLATED, data_pkl=tensor, data__0=zeros),
        "a storage told to be larger": storage.replace(struct.pack("<I", 24), struct.pack("<I", 2**31 - 1)),
        "one storage many times": archive(zipfile.ZIP_STORED, data_pkl=many, data__0=bytes(24)),
        "an archive in itself": archive(zipfile.ZIP_STORED, data_pkl=storage),
        "a model in an npz": packed,
        "nested tuples": b"\x80\x02" + b"(" * 90_000 + b"t" * 90_000 + b".",
        "doubled tuples": b"\x80\x02N" + b"".join(b"q%ch%c\x86" % (n, n) for n in range(200)) + b".",
        "a shape of doubled tuples": shaped(doubled),
        "a shape of nested tuples": shaped(b"K\x01" + b"\x85" * 100_000),
        "a shape of itself": shaped(b"]q\x00h\x00a"),
        "meshes without end": b"\x80\x02}" + short("D") + b"](" + level + b"h\x00" * 100_000 + b"es.",
        "keys that share a hash": b"\x80\x02}(" + b"".join(key(n) + b"N" for n in range(1, 50_000)) + b"u.",
        "sparse matrices of nearly nothing": made.dump({name: sparse for name in ("v_template", "f", "weights")}),
        "meshes of many places": made.torch_zip({
            "D": [made.Coordinates(np.zeros(2**18, int), np.zeros(2**18, int), (1675, 5023))]
        }),
        "selections of selections": made.dump({"v_template": select}),
        "a model packed by blocks": archive(zipfile.ZIP_BZIP2, **{"v_template.npy": zeros}),
        "a model packed otherwise": archive(zipfile.ZIP_LZMA, **{"v_template.npy": zeros}),
        "a model packed badly": packed.replace(b"\x00" * 8, b"\xff" * 8, 1),
        "a list of itself": b"\x80\x02]q\x00h\x00ah\x00ah\x00e.",
        "an array of doubled text": b"\x80\x02X\x00\x10\x00\x00" + b"a" * 4096 + b"q\x00" + b"h\x00" * 50_000 + b".",
        "a header without end": b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535,
        "a header of brackets": b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 9000,
        "a header of minus signs": b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"-" * 8999 + b"1",
        "an absurd shape": npy("(1000000000000, 1000000)"),
        "a negative shape": npy("(-1,)"),
        "a shape of truths": npy("(True, 3)"),
        "an object of no size": npy("(0,)", "|O") + b"\x80\x02N.",
    }


def npy(shape: str, kind: str = "<f8") -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header


class Watch:
    """Notes what Python reports of what is run, imported, opened for writing, or looked up while a file is read."""

    QUIET = {"mmap.__new__", "object.__getattr__", "sys._getframe", "array.__new__", "os.fstat", "os.stat"}

    def __init__(self) -> None:
        self.on, self.seen = False, Counter()
        sys.addaudithook(self.hook)

    def hook(self, event: str, arguments: tuple) -> None:
        if not self.on or event in self.QUIET:
            return
        if event == "open" and arguments[1] in ("r", "rb") and str(arguments[0]).endswith("case"):
            return
        self.seen[f"{event} {arguments}"[:200]] += 1


def one(reader: Callable[[Path], object], path: Path, data: bytes, watch: Watch, tally: Counter, label: str) -> None:
    path.write_bytes(data)
    start = time.process_time()
    watch.on = True
    try:
        reader(path)
        tally["accepted"] += 1
    except DiceError as error:
        tally["refused"] += 1
        if "too large to be" in error.message:  # a MemoryError, put into words
            tally[f"FAILED: {label}: {error}"] += 1
        if not (error.message and error.remedy):
            tally[f"WITHOUT A REMEDY: {error}"] += 1
    except BaseException as error:
        watch.on = False
        tally[f"FAILED: {label}: {type(error).__name__}: {error}"[:200]] += 1
    watch.on = False
    if time.process_time() - start > SECONDS:
        tally[f"SLOW: {label}"] += 1


def main(folder: Path, cases: int, seed: int, reader: Callable[[Path], object]) -> None:
    global MARKER
    MARKER = folder / "marker"
    dice, path, tally, watch = random.Random(seed), folder / "case", Counter(), Watch()
    start, files = time.perf_counter(), seeds()
    hostile = bombs() if reader is read else {}  # some take Python's own minutes
    for name, data in files.items():  # what Python loads when it is first needed does not count
        one(reader, path, data, watch, Counter(), name)
    watch.seen.clear()
    limit_memory()
    for name, data in hostile.items():
        one(reader, path, data, watch, tally, name)
    for case in range(cases):
        name = dice.choice(list(files))
        data = bytearray(files[name])
        for _ in range(dice.choice([1, 1, 2, 4])):
            mutation = dice.choice(MUTATIONS)
            if data:
                mutation(data, dice)
        one(reader, path, bytes(data), watch, tally, f"{name} {case}")
    answer = {"cases": cases + len(hostile), "tally": tally, "events": watch.seen}
    answer |= {"files": sorted(child.name for child in folder.iterdir()), "s": round(time.perf_counter() - start, 1)}
    print(json.dumps(answer))


def limit_memory() -> None:
    """Where the system can: more memory than MEMORY ends in a MemoryError, which is a failure."""
    try:
        import resource
    except ImportError:
        return
    if sys.platform == "linux":
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))


if __name__ == "__main__":
    careless = sys.argv[4:]
    main(
        Path(sys.argv[1]),
        int(sys.argv[2]),
        int(sys.argv[3]),
        (lambda path: pickle.loads(path.read_bytes(), encoding="latin1")) if careless else read,
    )

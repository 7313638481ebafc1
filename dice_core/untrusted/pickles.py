# SPDX-License-Identifier: GPL-3.0-or-later
"""Pickles read as data: no class is looked up, nothing is called, so whatever a file asks for, nothing happens.

A pickle is a program for a small stack machine. This one knows the instructions that the official files use (pickle
protocols 2 to 5) and makes plain values; where Python would make an object it makes an inert `Record`. Names outside
the reader's exact list of modules and names are refused. Long strings stay views of the file: they take no memory.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

STEPS = 200_000  # instructions; the largest file of a body takes about a thousand
LONG = 16  # bytes of an integer; torch's magic number has ten
TEXT = 4096  # bytes of text that is text; longer text holds the numbers of an array and stays a view
STRANGERS, SPELLED_OUT = 100, 12  # refused names, and those of them that are told
LONGEST_NAME = 200
SMALL = 1 << 31  # for numbers as keys: Python's larger ones may share a hash by the thousand

Known = Mapping[tuple[str, str], str]  # module and name, exactly -> in short; several spellings may mean one thing


class Broken(ValueError):
    """The data are no pickle, or one that no official file would hold."""


class Truncated(Broken):
    """The data end before the pickle does."""


class Refused(Broken):
    """The pickle names what it may not: `names`, in the order of their appearance."""

    def __init__(self, names: list[str]) -> None:
        more = f" and {len(names) - SPELLED_OUT} more" if len(names) > SPELLED_OUT else ""
        super().__init__(f"it asks for {', '.join(names[:SPELLED_OUT])}{more}")
        self.names = names


@dataclass(frozen=True, slots=True)
class Name:
    """A known name, in short; `Name("ndarray")`."""

    short: str


@dataclass(eq=False, slots=True)
class Record:
    """In place of an object: what would have been called, with what, and the state it would have been given."""

    kind: str
    arguments: Any
    state: Any = None


@dataclass(eq=False, slots=True)
class Reference:
    """A value outside of the pickle, such as the numbers of a torch tensor. The reader sets what brings it."""

    key: Any
    bring: Callable[[], Any] | None = None


class Pickle(NamedTuple):
    """What a pickle holds.

    Attributes
    ----------
    value
        None, bool, int, float, str, bytes, memoryview, list, tuple, dict, `Name`, `Record` and `Reference` in any
        nesting; lists may hold themselves.
    end
        The position behind it.
    references
        All of its references.
    """

    value: Any
    end: int
    references: list[Reference]


def read_pickle(data: memoryview, known: Known, start: int = 0, steps: int = STEPS) -> Pickle:
    """Read the pickle that begins at `start`, of at most so many instructions.

    Raises
    ------
    Broken
        `Truncated`; `Refused`, for all names at once that are not known; or because it is no pickle.
    """
    machine = _Machine(data, known, start)
    fault: Broken | None = None
    try:
        value = machine.run(steps)
    except Broken as error:
        fault = error
    except (LookupError, TypeError, ValueError) as error:  # an empty stack, an unknown memo, text that is none
        fault = Broken(f"its instructions make no sense ({type(error).__name__})")
    if machine.strangers:
        raise Refused(list(machine.strangers))
    if fault:
        raise fault
    return Pickle(value, machine.position, machine.references)


class _Machine:
    def __init__(self, data: memoryview, known: Known, position: int) -> None:
        self.data = data
        self.known = known
        self.position = position
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.references: list[Reference] = []
        self.strangers: dict[str, None] = {}
        self.refusals = 0

    def run(self, steps: int) -> Any:
        for _ in range(steps):
            code = bytes(self.take(1))
            if code == b".":
                return self.stack.pop()
            if code in PUSHES:
                self.stack.append(PUSHES[code](self))
            elif code in ACTS:
                ACTS[code](self)
            else:
                raise Broken(f"it has an instruction that no official file has (0x{code[0]:02x})")
        raise Broken(f"it has more than {steps} instructions")

    def take(self, count: int) -> memoryview:
        """The next bytes, not copied."""
        end = self.position + count
        if end > len(self.data):
            raise Truncated("it ends too early")
        view, self.position = self.data[self.position : end], end
        return view

    def number(self, layout: str) -> Any:
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def view(self, layout: str) -> memoryview:
        return self.take(self.number(layout))

    def text(self, layout: str, encoding: str = "utf-8") -> str | memoryview:
        view = self.view(layout)
        return str(view, encoding) if len(view) <= TEXT else view

    def line(self) -> str:
        piece = bytes(self.data[self.position : self.position + LONGEST_NAME])
        end = piece.find(b"\n")
        if end < 0:
            raise Truncated("it ends too early") if len(piece) < LONGEST_NAME else Broken("it has a name without end")
        self.position += end + 1
        return str(piece[:end], "utf-8")

    def long(self) -> int:
        digits = self.view("<B")
        if len(digits) > LONG:
            raise Broken("it has an integer beyond all measure")
        return int.from_bytes(digits, "little", signed=True)

    def pop(self, count: int) -> list[Any]:
        if count > len(self.stack):
            raise Broken("it takes what it never made")
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return values

    def pop_mark(self) -> list[Any]:
        return self.pop(max(0, len(self.stack) - self.marks.pop()))

    def named(self, module: Any, name: Any) -> Name:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise Broken("it has a name that is no text")
        if (module, name) not in self.known:
            self.strangers[f"{module}.{name}"[:100]] = None
            self.refusals += 1
            if self.refusals == STRANGERS:
                raise Broken("it asks for too much")
        return Name(self.known.get((module, name), ""))

    def record(self) -> Any:
        maker, arguments = self.pop(2)
        if not isinstance(maker, Name) or not isinstance(arguments, tuple):
            raise Broken("it calls what cannot be called")
        return {} if maker.short == "dict" and not arguments else Record(maker.short, arguments)

    def refer(self) -> Reference:
        self.references.append(Reference(*self.pop(1)))
        return self.references[-1]

    def remember(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def build(self) -> None:
        (state,) = self.pop(1)
        target = self.stack[-1]
        if isinstance(target, dict):
            return  # notes on versions, of a state dict
        if not isinstance(target, Record) or target.state is not None:
            raise Broken("it sets the state of what has none")
        target.state = state

    def append(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise Broken("it appends to what is no list")
        target.extend(values)

    def set_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(values) % 2:
            raise Broken("it sets items of what is no dict")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not (isinstance(key, str) or type(key) is int and 0 <= key < SMALL):
                raise Broken("it has a key that is neither text nor a small number")
            target[key] = value


PUSHES: dict[bytes, Callable[[_Machine], Any]] = {
    b"N": lambda m: None,
    b"\x88": lambda m: True,
    b"\x89": lambda m: False,
    b"K": lambda m: m.number("<B"),
    b"M": lambda m: m.number("<H"),
    b"J": lambda m: m.number("<i"),
    b"\x8a": _Machine.long,
    b"G": lambda m: m.number(">d"),
    b"U": lambda m: m.text("<B", "latin-1"),  # Python 2: text and bytes are one
    b"T": lambda m: m.view("<I"),
    b"X": lambda m: m.text("<I"),
    b"\x8c": lambda m: m.text("<B"),
    b"\x8d": lambda m: m.text("<Q"),
    b"C": lambda m: bytes(m.view("<B")),
    b"B": lambda m: m.view("<I"),
    b"\x8e": lambda m: m.view("<Q"),
    b"\x96": lambda m: m.view("<Q"),
    b"]": lambda m: [],
    b"}": lambda m: {},
    b")": lambda m: (),
    b"\x8f": lambda m: [],  # a set: nothing here asks for membership
    b"t": lambda m: tuple(m.pop_mark()),
    b"\x85": lambda m: tuple(m.pop(1)),
    b"\x86": lambda m: tuple(m.pop(2)),
    b"\x87": lambda m: tuple(m.pop(3)),
    b"h": lambda m: m.memo[m.number("<B")],
    b"j": lambda m: m.memo[m.number("<I")],
    b"c": lambda m: m.named(m.line(), m.line()),
    b"\x93": lambda m: m.named(*m.pop(2)),
    b"R": _Machine.record,
    b"\x81": _Machine.record,
    b"Q": _Machine.refer,
}
ACTS: dict[bytes, Callable[[_Machine], Any]] = {
    b"\x80": lambda m: m.take(1),  # the protocol
    b"\x95": lambda m: m.take(8),  # the size of a frame
    b"(": lambda m: m.marks.append(len(m.stack)),
    b"q": lambda m: m.remember(m.number("<B")),
    b"r": lambda m: m.remember(m.number("<I")),
    b"\x94": lambda m: m.remember(len(m.memo)),
    b"a": lambda m: m.append(m.pop(1)),
    b"e": lambda m: m.append(m.pop_mark()),
    b"\x90": lambda m: m.append(m.pop_mark()),
    b"s": lambda m: m.set_items(m.pop(2)),
    b"u": lambda m: m.set_items(m.pop_mark()),
    b"b": _Machine.build,
}

# SPDX-License-Identifier: GPL-3.0-or-later
"""A pickle read without running it.

The standard unpickler imports what a file names and calls it. This one knows the few instructions that torch's files
consist of, and names things instead of importing them: a class becomes a `Record`, and a call is answered by the
reader's own table. Memory and time are bounded by the number of instructions.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Any

LONGEST = 32 << 20  # bytes; a checkpoint of DICE has less than one
INSTRUCTIONS = 2_000_000  # five times what such a checkpoint has
STRANGERS = 100
NAME = 200  # characters of a module's or class's name
SPELLED_OUT = 12
MALFORMED = (IndexError, KeyError, TypeError, ValueError, struct.error)

Call = Callable[..., Any]


class Refused(Exception):
    """The pickle wants something that is not allowed, or is none. The text continues `The file ...`."""


class Name:
    """A class or function that the pickle speaks of: module, space, name."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text


class Record:
    """An object of the pickle: the name of its class, its state, and what it holds if it is a dictionary."""

    __slots__ = ("items", "name", "state")

    def __init__(self, name: str) -> None:
        self.name = name
        self.state: Any = None
        self.items: dict[Any, Any] = {}


class Reader:
    """The machine that a pickle is a program for.

    Parameters
    ----------
    data
        The pickle.
    classes
        Names, written `module name`, that may be made into records.
    calls
        Names that may be called, and what answers instead.
    stored
        Called with what the pickle says of a piece of data outside it (a persistent id).
    """

    def __init__(
        self, data: bytes, classes: frozenset[str], calls: Mapping[str, Call], stored: Callable[[Any], Any]
    ) -> None:
        self.data, self.position = data, 0
        self.classes, self.calls, self.stored = classes, calls, stored
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.unknown: dict[str, None] = {}  # in the order of their appearance

    def read(self) -> Any:
        """The pickled object. Raises `Refused`; the text names everything that is not allowed."""
        fault = ""
        try:
            result = self._run()
        except Refused as error:
            fault = str(error)
        except MALFORMED:
            fault = "is not a well-formed pickle"
        if self.unknown:
            rest = f" and {len(self.unknown) - SPELLED_OUT} more" if len(self.unknown) > SPELLED_OUT else ""
            asked = ", ".join(list(self.unknown)[:SPELLED_OUT])
            raise Refused(f"asks for {asked}{rest}, which no checkpoint of DICE needs")
        if fault:
            raise Refused(fault)
        return result

    def _run(self) -> Any:
        if len(self.data) > LONGEST:
            raise Refused(f"holds a pickle of {len(self.data)} bytes")
        for _ in range(INSTRUCTIONS):
            code = self._take(1)
            if code == b".":
                (result,) = self.stack
                return result
            instruction = TABLE.get(code)
            if instruction is None:
                raise Refused(f"uses the pickle instruction {code!r}")
            instruction(self)
        raise Refused("is an endless pickle")

    def _take(self, count: int) -> bytes:
        piece = self.data[self.position : self.position + count]
        if len(piece) != count:
            raise Refused("ends in the middle of its pickle")
        self.position += count
        return piece

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _line(self) -> str:
        end = self.data.index(b"\n", self.position, self.position + NAME)
        line = self.data[self.position : end].decode("ascii")
        self.position = end + 1
        return line

    def _push(self, value: Any) -> None:
        self.stack.append(value)

    def _marked(self) -> list[Any]:
        """What was pushed since the last mark."""
        items, self.stack = self.stack, self.marks.pop()
        return items

    def _protocol(self) -> None:
        if (protocol := self._number("B")) != 2:
            raise Refused(f"uses pickle protocol {protocol}, not 2")

    def _mark(self) -> None:
        self.marks.append(self.stack)
        self.stack = []

    def _text(self) -> None:
        self.stack.append(self._take(self._number("<I")).decode("utf-8", "surrogatepass"))

    def _integer(self) -> None:
        size = self._number("B")
        if size > 8:
            raise Refused(f"holds a number of {size} bytes")
        self.stack.append(int.from_bytes(self._take(size), "little", signed=True))

    def _tuple(self, count: int) -> None:
        items = [self.stack.pop() for _ in range(count)]
        self.stack.append(tuple(reversed(items)))

    def _append(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if type(target) is not list:
            raise Refused("appends to something that is no list")
        target.extend(items)

    def _set(self, items: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Record):
            target = target.items
        if type(target) is not dict or len(items) % 2 or not all(type(key) in (str, int) for key in items[::2]):
            raise Refused("sets items of something that has none")
        target.update(zip(items[::2], items[1::2], strict=True))

    def _put(self, index: int) -> None:
        self.memo[index] = self.stack[-1]

    def _name(self) -> None:
        text = f"{self._line()} {self._line()}"
        if text not in self.classes and text not in self.calls:
            self.unknown[text] = None
            if len(self.unknown) > STRANGERS:
                raise Refused("asks for too much")
        self.stack.append(Name(text))

    def _call(self) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if type(function) is not Name or type(arguments) is not tuple:
            raise Refused("calls something that is no function")
        if function.text in self.unknown:
            self.stack.append(Record(function.text))
        elif function.text in self.calls:
            self.stack.append(self.calls[function.text](*arguments))
        else:
            raise Refused(f"calls {function.text}")

    def _new(self) -> None:
        arguments, cls = self.stack.pop(), self.stack.pop()
        if type(cls) is not Name or type(arguments) is not tuple or arguments:
            raise Refused("makes an object of something that is no class")
        if cls.text not in self.classes and cls.text not in self.unknown:
            raise Refused(f"makes an object of {cls.text}")
        self.stack.append(Record(cls.text))

    def _build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if type(target) is dict:
            return  # a state dict's notes on versions
        if type(target) is not Record or target.state is not None or type(state) is not dict:
            raise Refused("gives a state to something that has none")
        target.state = state

    def _stored(self) -> None:
        self.stack.append(self.stored(self.stack.pop()))


def _constant(make: Callable[[], Any]) -> Callable[[Reader], None]:
    return lambda reader: reader._push(make())


def _numeric(form: str) -> Callable[[Reader], None]:
    return lambda reader: reader._push(reader._number(form))


TABLE: dict[bytes, Callable[[Reader], None]] = {
    b"\x80": Reader._protocol,
    b"(": Reader._mark,
    b"N": _constant(lambda: None),
    b"\x88": _constant(lambda: True),
    b"\x89": _constant(lambda: False),
    b"}": _constant(dict),
    b"]": _constant(list),
    b")": _constant(tuple),
    b"J": _numeric("<i"),
    b"K": _numeric("B"),
    b"M": _numeric("<H"),
    b"G": _numeric(">d"),
    b"\x8a": Reader._integer,
    b"X": Reader._text,
    b"t": lambda reader: reader._push(tuple(reader._marked())),
    b"\x85": lambda reader: reader._tuple(1),
    b"\x86": lambda reader: reader._tuple(2),
    b"\x87": lambda reader: reader._tuple(3),
    b"a": lambda reader: reader._append([reader.stack.pop()]),
    b"e": lambda reader: reader._append(reader._marked()),
    b"s": lambda reader: reader._set([reader.stack.pop(-2), reader.stack.pop()]),
    b"u": lambda reader: reader._set(reader._marked()),
    b"h": lambda reader: reader._push(reader.memo[reader._number("B")]),
    b"j": lambda reader: reader._push(reader.memo[reader._number("<I")]),
    b"q": lambda reader: reader._put(reader._number("B")),
    b"r": lambda reader: reader._put(reader._number("<I")),
    b"c": Reader._name,
    b"R": Reader._call,
    b"\x81": Reader._new,
    b"b": Reader._build,
    b"Q": Reader._stored,
}

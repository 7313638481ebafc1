# SPDX-License-Identifier: GPL-3.0-or-later
"""Hostile pickles and archives, made by hand: what `fuzz.py` feeds to the reader."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator

# Pickle programs


def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def name(value: str) -> bytes:
    module, _, attribute = value.partition(" ")
    return b"c" + module.encode() + b"\n" + attribute.encode() + b"\n"


def number(value: int) -> bytes:
    if -(2**31) <= value < 2**31:
        return b"J" + struct.pack("<i", value)
    size = 8 if -(2**63) <= value < 2**63 else 16
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def call(function: bytes, *arguments: bytes) -> bytes:
    return function + b"(" + b"".join(arguments) + b"tR"


def storage(key: str = "0", count: int = 4, kind: str = "torch FloatStorage", device: str = "cpu") -> bytes:
    return b"(" + text("storage") + name(kind) + text(key) + text(device) + number(count) + b"tQ"


def tensor(
    size: bytes = numbers(2, 2), stride: bytes = numbers(2, 1), offset: bytes = number(0), data: bytes = storage()
) -> bytes:
    hooks = call(name("collections OrderedDict"))
    return call(name("torch._utils _rebuild_tensor_v2"), data, offset, size, stride, b"\x89", hooks)


def module(state: bytes, kind: str = "torch.nn.modules.container Sequential") -> bytes:
    return name(kind) + b")\x81" + state + b"b"


def dictionary(**items: bytes) -> bytes:
    return b"}(" + b"".join(text(key) + value for key, value in items.items()) + b"u"


def program(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


def archive(pickle: bytes, members: dict[str, bytes] | None = None) -> bytes:
    """A torch archive, its numbers on multiples of 64 bytes as torch puts them."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as zipped:
        for key, data in ({"data.pkl": pickle, "byteorder": b"little"} | (members or {"data/0": bytes(16)})).items():
            entry = zipfile.ZipInfo(f"a/{key}")
            gap = -(buffer.tell() + 30 + len(entry.filename) + 4) % 64
            entry.extra = b"FB" + struct.pack("<H", gap) + b"Z" * gap
            zipped.writestr(entry, data)
    return buffer.getvalue()


# Attacks, one by one

HARM = text("touch MARKER")
_FUNCTIONS = """posix system|os system|nt system|os popen|os execv|os.path os.system|builtins eval|builtins exec
builtins getattr|builtins setattr|builtins open|builtins compile|builtins __import__|builtins print
builtins globals|builtins type
__builtin__ eval|__builtin__ execfile|__builtin__ apply|__builtin__ getattr|__builtin__ reload|subprocess Popen
subprocess call|subprocess check_output|subprocess run|sys exit|sys settrace|shutil rmtree|shutil copyfile
runpy run_path|runpy run_module|pickle loads|cPickle loads|_pickle Unpickler|marshal loads|importlib import_module
operator attrgetter|operator methodcaller|operator itemgetter|functools partial|functools reduce|types FunctionType
types CodeType|codecs decode|_codecs encode|copyreg _reconstructor|copy_reg _reconstructor|copyreg add_extension
numpy.core.multiarray _reconstruct|numpy._core.multiarray scalar|numpy ndarray|numpy dtype|numpy.core.records fromfile
numpy.testing._private.utils runstring|webbrowser open|ctypes CDLL|socket create_connection|asyncio run|timeit timeit
pdb run|bdb Bdb.run|cProfile run|profile run|pty spawn|platform popen|commands getoutput|pip main|pydoc pipepager
logging.config _resolve|torch load|torch.serialization load|torch.hub load|torch.jit load|torch.storage _load_from_bytes
torch._utils _rebuild_wrapper_subclass|torch._tensor _rebuild_from_type_v2|torch._dynamo.guards GuardBuilder.get
torch.fx.graph_module reduce_graph_module|torch.utils._config_module load_config|torch.nn.modules.module Module
torch.distributed.rpc.internal _internal_rpc_pickler|torch.cuda.memory _record_memory_history|torch._C _cuda_init
torch Tensor|torch.nn.parameter Parameter|collections defaultdict|collections namedtuple|collections UserDict
metro.modeling.bert.modeling_bert BertModel|metro.modeling.bert.modeling_metro os|torch.nn.modules.linear math
torch._utils os|torch os|collections sys|yacs.config os|yacs.config load_cfg|wandb init|apex.amp init"""
FUNCTIONS = _FUNCTIONS.replace("\n", "|").split("|")
WALKS = (
    "__init__.__globals__",
    "__class__.__base__.__subclasses__",
    "__reduce__",
    "__dict__",
    "os.system",
    "forward.__code__",
)


def calling(function: str) -> Iterator[bytes]:
    """One function in every place where a careless reader would call it."""
    target = name(function)
    arguments = HARM + b"\x85"
    module_name, _, attribute = function.partition(" ")
    yield target + arguments + b"R"
    yield target + arguments + b"\x81"
    yield target + b")" + b"\x81" + arguments + b"b"
    yield target + arguments + b"}\x92"
    yield b"(" + target + HARM + b"o"
    yield b"(" + HARM + b"i" + module_name.encode() + b"\n" + attribute.encode() + b"\n"
    yield text(module_name) + text(attribute) + b"\x93" + arguments + b"R"
    yield b"}(" + text("a") + target + arguments + b"Ru"
    yield b"}" + target + arguments + b"R" + text("a") + b"s"
    yield b"](" + target + arguments + b"Re"
    yield b"(" + target + arguments + b"RtQ"
    yield tensor(data=target + arguments + b"R")
    yield tensor(size=target + arguments + b"R")
    yield module(dictionary(_modules=dictionary(a=target + arguments + b"R")))
    yield module(
        dictionary(_parameters=dictionary(a=tensor()), __setstate__=target, __reduce__=target + arguments + b"R")
    )
    yield call(name("torch._utils _rebuild_parameter"), tensor(), b"\x89", target + arguments + b"R")
    yield call(name("collections OrderedDict"), target)
    yield name("collections OrderedDict") + target + b"R"
    yield target + b"q\x00" + b"h\x00" + arguments + b"R0."
    yield target


def walking(path: str) -> Iterator[bytes]:
    """From an allowed name to what it is not allowed."""
    for walk in WALKS:
        yield call(name(f"{path}.{walk}"), HARM)
    first, _, last = path.partition(" ")
    yield call(name(f"{first}.{last} __init__"), HARM)
    yield call(name(f"{first} {last} "), HARM)
    yield call(name(f" {first} {last}"), HARM)
    yield call(name(f"{first.upper()} {last}"), HARM)
    yield b"c" + first.encode() + b"\r\n" + last.encode() + b"\n" + b")R"


def misusing(path: str) -> Iterator[bytes]:
    """Allowed names, used as they must not be."""
    target = name(path)
    yield call(target, HARM)
    yield call(target)
    yield call(target, HARM, HARM, HARM)
    yield target + b"]R"
    yield target + HARM + b"R"
    yield target + HARM + b"\x85\x81"
    yield target + b"]\x81"
    yield target + b")\x81" + dictionary(a=HARM) + b"b" + dictionary(b=HARM) + b"b"
    yield target + dictionary(__call__=HARM) + b"b"
    yield target + b"N" + dictionary(__class__=name("posix system")) + b"\x86b"
    yield target + b")\x81N" + dictionary(__class__=target) + b"\x86b"
    yield target + b")\x81" + HARM + b"b"
    yield target + text("a") + HARM + b"s"
    yield target + b"(" + HARM + b"e"
    yield target + b")\x81" + b"(" + HARM + b"e"
    yield target + b")\x81" + text("a") + HARM + b"s"
    yield target + b")\x81" + b")" + HARM + b"s"
    yield b"(" + target + HARM + b"tQ"
    yield module(dictionary(_modules=dictionary(a=target)))
    yield module(dictionary(_parameters=dictionary(a=target)))
    yield module(dictionary(_parameters=target, _modules=target))


def shapes() -> Iterator[bytes]:
    """Tensors that are larger, elsewhere or otherwise than their numbers."""
    odd = (-1, 0, 1, 3, 5, 2**31, 2**62, -(2**62), 2**63 - 1, 2**63, 2**64, 2**70, -(2**100))
    for value in odd:
        yield tensor(size=numbers(value))
        yield tensor(size=numbers(value, value))
        yield tensor(size=numbers(value, 1), stride=numbers(0, 0))
        yield tensor(size=numbers(*[value] * 8), stride=numbers(*[0] * 8))
        yield tensor(stride=numbers(value, value))
        yield tensor(stride=numbers(value, 1))
        yield tensor(size=numbers(1), stride=numbers(value))
        yield tensor(size=numbers(0), stride=numbers(value))
        yield tensor(size=numbers(0, value), stride=numbers(value, value))
        yield tensor(offset=number(value))
        yield tensor(size=numbers(0, value, value), stride=numbers(1, 1, 1))
        yield tensor(data=storage(count=value))
        yield tensor(data=storage(count=value, kind="torch LongStorage"))
    for part in (
        b"N",
        b"\x88",
        HARM,
        b"]",
        b"}",
        b")",
        b"G" + bytes(8),
        name("torch Size"),
        tensor(),
        storage(),
        numbers(*range(99)),
    ):
        yield tensor(size=part)
        yield tensor(stride=part)
        yield tensor(offset=part)
        yield tensor(data=part)
        yield call(name("torch Size"), part)
        yield call(name("__builtin__ set"), part)
        yield call(name("torch device"), part, part)
        yield call(name("collections OrderedDict"), part)
        yield call(name("torch._utils _rebuild_parameter"), part)
        yield call(name("torch._utils _rebuild_tensor_v2"), part)
        yield part + b"Q"
        yield b"(" + text("storage") + part * 4 + b"tQ"
        yield dictionary(a=part)
        yield part
    for key in ("1", "../data.pkl", "/etc/passwd", "..\\..\\x", "", "0\0", "0" * 600, "data.pkl"):
        yield tensor(data=storage(key))
    for kind in (
        "torch ByteStorage",
        "torch QInt8Storage",
        "torch.storage UntypedStorage",
        "torch FloatTensor",
        "posix system",
    ):
        yield tensor(data=storage(kind=kind))


def bombs() -> Iterator[bytes]:
    """Small programs that want much memory, much time or a deep stack."""
    many = 1_900_000
    yield b")" + b"\x85" * many
    yield b"]" + b"](" * (many // 2)
    yield b"]q\x00" + b"h\x00a" * 500_000
    yield b"(" * many + b"t" * many
    yield b"}" * many
    yield b"]" * many
    yield b"((" + b")" * many + b"t"
    yield b"}q\x00" + text("a") + b"h\x00s"
    yield b"]" + b"".join(b"r" + struct.pack("<I", index * 999) for index in range(many // 2))
    yield b"]r\xff\xff\xff\xff"
    yield b"X\xff\xff\xff\xff"
    yield b"\x8a\xff" + b"\xff" * 255
    yield b"\x8b\xff\xff\xff\x7f"
    yield b"\x8d" + b"\xff" * 8
    yield b"\x95" + b"\xff" * 8
    yield b"h\x00" * 99
    yield b"c" + b"a" * 999_999 + b"\na\n"
    yield b"".join(b"c%d\na\n" % index for index in range(300_000))
    yield b"c" + b"torch\nFloatStorage\n" + b"2" * many
    yield b"N0" * many
    yield b"".join(b"}" + text("a") for _ in range(200)) + b"N" + b"s" * 200
    yield module(b"}q\x00(" + text("_modules") + b"}q\x01(" + text("a") + b"h\x02u" + b"u").replace(
        b")\x81", b")\x81q\x02"
    )
    chain = module(dictionary())
    for _ in range(2000):
        chain = module(dictionary(_modules=dictionary(a=chain)))
    yield chain
    laughs = module(b"}") + b"q\x00"
    for index in range(25):
        pair = dictionary(a=b"h" + bytes([index]), b=b"h" + bytes([index]))
        laughs += module(dictionary(_modules=pair)) + b"q" + bytes([index + 1])
    yield module(dictionary(junk=b"(" + laughs + b"t", _modules=dictionary(a=b"h\x19")))
    tensors = dictionary(**{f"k{index}": tensor(size=numbers(0), stride=numbers(1)) for index in range(2000)})
    heavy = module(b"}(" + text("_parameters") + tensors + b"u") + b"q\x00"
    for index in range(16):
        pair = dictionary(a=b"h" + bytes([index]), b=b"h" + bytes([index]))
        heavy += module(dictionary(_modules=pair)) + b"q" + bytes([index + 1])
    yield module(dictionary(junk=b"(" + heavy + b"t", _modules=dictionary(a=b"h\x10")))
    yield dictionary(**{"n" * 60_000: tensor()})
    yield module(dictionary(_modules=dictionary(**{"n" * 60_000: module(b"}")})))
    shared = b"".join(number(index * (2**61 - 1)) + b"N" for index in range(1, 50_000))  # all have Python's hash 0
    yield b"}(" + shared + b"u"
    for dots in (1, 25, 199, 4000, 30_000):
        yield dictionary(**{"." * dots: tensor()})
    yield dictionary(**{f"{index:x}." * 40: tensor() for index in range(4000)})
    wide = dictionary(_modules=dictionary(**{f"{'w' * 180}{index}": module(b"}") for index in range(3000)}))
    for _ in range(30):
        wide = dictionary(_modules=dictionary(**{"d" * 180: module(wide)}))
    yield module(wide)
    prefix = "trans_encoder.{}.bert.encoder.layer.{}.x"
    for last in (3, 63, 64):
        yield dictionary(**{prefix.format(block, last): tensor() for block in range(64)})
        yield dictionary(**{prefix.format(last, last): tensor()})
    deep = b")" + b"\x85" * 300_000
    yield b"}" + deep + b"Ns"
    yield call(name("collections OrderedDict"), b"](" + b"(" + deep + b"Nt" + b"e")
    yield call(name("__builtin__ set"), b"](" + deep + b"e")
    yield call(name("torch Size"), deep)
    yield module(dictionary(_parameters=dictionary(a=tensor()), junk=deep))
    yield dictionary(**{f"k{index}": tensor() for index in range(3000)})
    same = tensor()[:-1] + b"Rq\x05"
    yield b"}(" + text("a") + same + b"".join(text(f"b{index}") + b"h\x05" for index in range(100_000)) + b"u"


def archives(good: bytes) -> Iterator[bytes]:
    """Archives that lie about what they hold."""
    program_bytes = program(dictionary(a=tensor()))
    plain = archive(program_bytes)
    for compression in (zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        for size in (1 << 20, 1 << 24):
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w", compression, compresslevel=1) as zipped:
                zipped.writestr("a/data.pkl", bytes(size))
            yield buffer.getvalue()
    end = plain.rfind(b"PK\x05\x06")
    for offset, form in ((4, "H"), (6, "H"), (8, "H"), (10, "H"), (12, "L"), (16, "L"), (20, "H")):
        for value in (0, 1, 2, 99, 0xFFFF, *((0x7FFFFFFF, 0xFFFFFFFF) if form == "L" else ())):
            lie = bytearray(plain)
            struct.pack_into("<" + form, lie, end + offset, value)
            yield bytes(lie)
    position = plain.find(b"PK\x01\x02")
    while position >= 0:
        for offset, form in (
            (8, "H"),
            (10, "H"),
            (16, "L"),
            (20, "L"),
            (24, "L"),
            (28, "H"),
            (30, "H"),
            (32, "H"),
            (42, "L"),
        ):
            for value in (0, 1, 8, 99, 0xFFFF, *((0x7FFFFFFF, 0xFFFFFFFF, len(plain) - 1, end) if form == "L" else ())):
                lie = bytearray(plain)
                struct.pack_into("<" + form, lie, position + offset, value)
                yield bytes(lie)
        position = plain.find(b"PK\x01\x02", position + 4)
    yield archive(program_bytes, {f"data/{index}": bytes(4) for index in range(70_000)})
    yield archive(program_bytes, {"x" * 60_000 + str(index): b"" for index in range(200)})
    yield archive(program_bytes, {"b/data.pkl": program_bytes})
    yield archive(program_bytes, {"constants.pkl": b""})
    yield archive(program_bytes, {"data/0": bytes(15)})
    yield archive(program_bytes, {})
    yield archive(plain)
    yield plain + plain
    yield b"PK" * 50_000
    yield plain + b"PK\x05\x06" * 1000
    for filler in (b"\0", b"PK\x05\x06", b"<html>", b"\x80\x02", b"{", good[:40]):
        yield filler * 3000
    overlapping = bytearray(archive(program_bytes, {f"data/{index}": bytes(64) for index in range(50)}))
    first = overlapping.find(b"PK\x01\x02")
    position = first
    while position >= 0:
        struct.pack_into("<LL", overlapping, position + 20, len(overlapping) // 2, len(overlapping) // 2)
        position = overlapping.find(b"PK\x01\x02", position + 4)
    yield bytes(overlapping)


def headers() -> Iterator[bytes]:
    """Converted files (safetensors) that lie about what they hold."""

    def file(header: bytes, body: bytes = bytes(64)) -> bytes:
        return struct.pack("<Q", len(header)) + header + body

    def entry(shape: str, dtype: str = '"F32"', offsets: str = "0,0", name: str = "a") -> bytes:
        return f'{{"{name}":{{"dtype":{dtype},"shape":{shape},"data_offsets":[{offsets}]}}}}'.encode()

    huge = "9" * 4000
    shapes = [f"[0,{2**70}]", f"[0,{2**63}]", f"[0,{2**62},{2**62}]", "[" + "1," * 99_999 + "1]", f"[0,{huge}]"]
    for shape in (*shapes, f"[{huge},{huge}]", "[-1]", "[true]", "[[]]", "{}", '"0"', "[1.5]", "[1e9]"):
        for offsets in ("0,0", "0,4", f"0,{huge}", f"-{huge},0", "0", "[],[]", "0,4,8"):
            yield file(entry(shape, offsets=offsets))
    for dtype in ('"F33"', "[]", "{}", "null", '"I64"', '"BF16"', '"F64"'):
        yield file(entry("[2]", dtype, "0,8"))
    for name in ("", "." * 30_000, "a" * 300_000, "__metadata__", "\\u0000", "\\ud800"):
        yield file(entry("[1]", offsets="0,4", name=name))
    yield file(b"{" * 100_000)
    yield file(b"[" + b"[]," * 600_000 + b"[]]")
    yield file(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}")
    yield file(b'{"__metadata__":{"format":"' + huge.encode() + b'","heads":"4","layer_norm_eps":"1e-12"}}')
    yield file(b'{"__metadata__":{"format":"1","heads":"' + b"[" * 90_000 + b'","layer_norm_eps":"1e-12"}}')
    for length in (0, 1, 2**20, 2**31, 2**63, 2**64 - 1):
        yield struct.pack("<Q", length) + b'{"a":1}'

# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints: the official one, opened without running anything in it, and our own, made from it once."""

from __future__ import annotations

import json
import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, isfinite

from ..body.kinds import KINDS, NETWORK, NETWORK_FILE, where_from
from ..errors import DiceError, NotInstalled
from . import official, tensorfile
from .archive import Archive
from .model import DiceNetwork
from .pickles import Refused
from .transformer import Eps, Heads
from .weights import Weights, some

SUMMARY = "dice_network.json"
FORMAT = 1
HEADS, LAYER_NORM_EPS = 4, 1e-12  # of the release; a plain state dict does not say
OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
UNUSED = (".bert.embeddings.", ".bert.pooler.", "backbone.classifier.", "num_batches_tracked")
AGAIN = "Download model.bin from the DICE page again, to the end, and choose that file."


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds.

    Attributes
    ----------
    tensors
        By official name; views of the mapped file, which therefore must stay as it is.
    heads, layer_norm_eps
        As `DiceNetwork.from_state_dict` takes them.
    notes
        Sentences for the user.
    """

    tensors: dict[str, Tensor]
    heads: Heads = HEADS
    layer_norm_eps: Eps = LAYER_NORM_EPS
    notes: tuple[str, ...] = ()


def load(path: Path) -> DiceNetwork:
    """The network of a converted checkpoint (its folder will do), or of any that `read` reads. Raises DiceError."""
    file = path / NETWORK_FILE if path.is_dir() else path
    if not file.exists():
        raise NotInstalled(f"The dice engine needs {KINDS[NETWORK].title}.", where_from(NETWORK))
    checkpoint = read(file)
    network = DiceNetwork.from_state_dict(checkpoint.tensors, checkpoint.heads, checkpoint.layer_norm_eps)
    return network.float()


def read(path: Path) -> Checkpoint:
    """A converted checkpoint, the official one, or a plain state dict that torch saved.

    Raises
    ------
    DiceError
        When there is no such file, it is something else, is damaged, or asks for what is not allowed.
    """
    with _readable(path) as start:
        converted = start[8:9] == b"{"
    return read_converted(path) if converted else read_official(path)


def read_converted(path: Path) -> Checkpoint:
    """What `convert` wrote. Raises DiceError."""
    with _readable(path):
        tensors, notes = tensorfile.read(path)
        try:
            if int(notes["format"]) > FORMAT:
                raise DiceError(f"{path.name} was converted by a newer version.", "Update the extension.")
            return Checkpoint(tensors, json.loads(notes["heads"]), json.loads(notes["layer_norm_eps"]))
        except (KeyError, ValueError) as error:
            raise Refused("is not a converted checkpoint of DICE") from error


def read_official(path: Path) -> Checkpoint:
    """The official checkpoint, or a plain state dict that torch saved. Nothing in the file is run or imported.

    Raises
    ------
    DiceError
        As `read`; everything that the file asks for in vain is named.
    """
    with _readable(path) as start, open(path, "rb") as file:
        _recognise(path, start)
        archive = Archive(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
        tensors, heads, eps = official.read(archive)
    if heads and eps:
        return Checkpoint(tensors, heads, eps)
    note = f"A state dict does not say how many attention heads the network has; {HEADS} are assumed."
    return Checkpoint(tensors, notes=(note,))


@contextmanager
def _readable(path: Path) -> Iterator[bytes]:
    """The file's first bytes; what goes wrong with it inside becomes a `DiceError`."""
    try:
        with open(path, "rb") as file:
            start = file.read(512)
        yield start
    except OSError as error:
        raise DiceError(f"Cannot read {path} ({error.strerror}).", "Check the path and its permissions.") from error
    except Refused as error:
        raise DiceError(f"{path.name} {error}.", AGAIN) from error


def _recognise(path: Path, start: bytes) -> None:
    """Say what a file is that is no torch archive."""
    if start[:2] == b"PK":
        return
    if not start:
        raise Refused("is empty")
    if start.lstrip()[:1] == b"<":
        raise DiceError(
            f"{path.name} is a web page, not a checkpoint: the link it was downloaded from has expired.",
            "Ask for the download on the DICE page again and save the file that the new link leads to.",
        )
    if start.startswith(OLD_TORCH):
        raise DiceError(f"{path.name} was saved by torch before 1.6.", "Load and save it once with a newer torch.")
    if start[:1] == b"\x80":
        raise Refused("is a pickle, but not a checkpoint that torch saved")
    raise Refused("is not a checkpoint that torch saved")


def convert(path: Path, folder: Path) -> Checkpoint:
    """Write the used tensors to `folder`, as NETWORK_FILE and, for people, SUMMARY; returns what was written.

    Both appear whole or not at all; nothing appears when the checkpoint is refused.

    Raises
    ------
    DiceError
        As `read`; when tensors are missing, do not fit together or hold numbers that are not finite; when the folder
        cannot be written to.
    """
    checkpoint = read(path)
    weights = Weights(checkpoint.tensors)
    DiceNetwork.from_weights(weights, checkpoint.heads, checkpoint.layer_norm_eps)
    used = {name: checkpoint.tensors[name] for name in weights.used}
    _check(path, used)
    unknown = [name for name in checkpoint.tensors if name not in used and not any(part in name for part in UNUSED)]
    notes = checkpoint.notes
    if unknown:
        notes += (f"{len(unknown)} tensors that the network does not know were left out: {some(unknown)}.",)
    settings = {"format": FORMAT, "heads": checkpoint.heads, "layer_norm_eps": checkpoint.layer_norm_eps}
    count = sum(tensor.numel() for tensor in used.values())
    summary = settings | {"made_from": path.name, "tensors": len(used), "numbers": count, "notes": notes}
    with _written(folder / NETWORK_FILE) as tensors, _written(folder / SUMMARY) as text:
        tensorfile.write(tensors, used, {name: json.dumps(value) for name, value in settings.items()})
        text.write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return Checkpoint(used, checkpoint.heads, checkpoint.layer_norm_eps, notes)


def _check(path: Path, tensors: dict[str, Tensor]) -> None:
    """Raise a `DiceError` when the numbers are not finite, or more than the file can hold."""
    if sum(tensor.nbytes for tensor in tensors.values()) > path.stat().st_size:
        raise DiceError(f"{path.name} says that it holds more than its own size.", AGAIN)
    broken = [name for name, tensor in tensors.items() if not isfinite(tensor).all()]
    if broken:
        raise DiceError(
            f"{path.name} has {len(broken)} tensors with numbers that are not finite: {some(broken)}.", AGAIN
        )


@contextmanager
def _written(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place when all went well."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        os.replace(temporary, path)
    except OSError as error:
        raise DiceError(
            f"Cannot write {path} ({error.strerror}).", "Free some disk space or choose another folder."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)

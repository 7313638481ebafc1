# SPDX-License-Identifier: GPL-3.0-or-later
"""Checkpoints: the official one, opened without running anything in it, and our own, made from it once."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, isfinite

from ..body.kinds import KINDS, NETWORK, NETWORK_FILE, where_from
from ..errors import DiceError, ModelsMissing
from ..files import atomic
from ..untrusted.archive import Archive, mapped
from ..untrusted.mistaken import START, refuse_mistaken
from ..untrusted.pickles import Broken, Refused, Truncated
from . import official, tensorfile
from .model import DiceNetwork
from .transformer import Eps, Heads
from .weights import Weights, some

SUMMARY = "dice_network.json"
FORMAT = 1
HEADS, LAYER_NORM_EPS = 4, 1e-12  # of the release; a plain state dict does not say
OLD_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
UNUSED = (".bert.embeddings.", ".bert.pooler.", "backbone.classifier.", "num_batches_tracked")
AGAIN = "Download model.bin from the DICE page again, to the end, and choose that file."
CONVERT_AGAIN = "Convert model.bin again: python -m dice_core convert model.bin."


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
        raise ModelsMissing(f"The dice engine needs {KINDS[NETWORK].title}.", where_from(NETWORK))
    checkpoint = read_converted(file) if path.is_dir() else read(file)
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
    with _readable(path, CONVERT_AGAIN):
        tensors, notes = tensorfile.read(path)
        try:
            newer = int(notes["format"]) > FORMAT
            heads, eps = json.loads(notes["heads"]), json.loads(notes["layer_norm_eps"])
        except (KeyError, ValueError, RecursionError) as error:
            raise Broken("it was not converted by this program") from error
        if newer:
            raise DiceError(f"{path.name} was converted by a newer version.", "Update the extension.")
        if not _sensible(heads, int) or not _sensible(eps, float):
            raise Broken("it says nothing sensible of its attention heads or normalisations")
        return Checkpoint(tensors, heads, eps)


def _sensible(value: Any, kind: type[int | float]) -> bool:
    """Whether this is a positive number, or one for each of some transformer blocks."""
    numbers = value.values() if isinstance(value, dict) else [value]
    return all(type(number) is kind and 0 < number < math.inf for number in numbers)


def read_official(path: Path) -> Checkpoint:
    """The official checkpoint, or a plain state dict that torch saved. Nothing in the file is run or imported.

    Raises
    ------
    DiceError
        As `read`; everything that the file asks for in vain is named.
    """
    with _readable(path) as start:
        refuse_mistaken(path.name, start)
        if start.startswith(OLD_TORCH):
            raise DiceError(f"{path.name} was saved by torch before 1.6.", "Load and save it once with a newer torch.")
        if start[:1] == b"\x80":
            raise Broken("it is a pickle, but torch did not save it")
        if start[:2] != b"PK":
            raise Broken("torch did not save it")
        tensors, heads, eps = official.read(Archive(mapped(path)))
    if heads and eps:
        return Checkpoint(tensors, heads, eps)
    note = f"The file does not say how many attention heads the network has; {HEADS} are assumed."
    return Checkpoint(tensors, notes=(note,))


@contextmanager
def _readable(path: Path, remedy: str = AGAIN) -> Iterator[bytes]:
    """The file's first bytes; what goes wrong with it inside becomes a `DiceError`."""
    try:
        with open(path, "rb") as file:
            start = file.read(START)
        yield start
    except OSError as error:
        raise DiceError(f"Cannot read {path} ({error.strerror}).", "Check the path and its permissions.") from error
    except Refused as error:
        raise DiceError(
            f"{path.name} is no checkpoint of DICE: {error}. Nothing in it was run.",
            "Choose the model.bin of the DICE release, and be wary of the place where this one came from.",
        ) from error
    except Truncated as error:
        raise DiceError(f"{path.name} is incomplete: {error}.", remedy) from error
    except Broken as error:
        raise DiceError(f"{path.name} is no checkpoint of DICE: {error}.", remedy) from error


def convert(path: Path, folder: Path) -> Checkpoint:
    """Write the used tensors to `folder`, as NETWORK_FILE and, for people, SUMMARY; returns what was written.

    Each appears whole or not at all; nothing appears when the checkpoint is refused.

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
    with atomic(folder / SUMMARY) as text, atomic(folder / NETWORK_FILE) as tensors:  # the tensors' takes place first
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

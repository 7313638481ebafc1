# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the network on pictures: in batches, with one wait for the device per batch, and in spite of small memories."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import DiceError
from ..types import Precision
from .device import Device, computing, meaning
from .memory import frugal
from .model import DiceNetwork, Prediction

BATCH = {"cuda": 32, "mps": 8, "cpu": 1}  # a CPU gains nothing from more, but for using more memory
FEW = 2  # pictures of one capture; batches as small as this wait for launches rather than for arithmetic
OUT_OF_MEMORY = ("out of memory", "ALLOC_FAILED", "can't allocate memory")


class Runner:
    """A network, ready to run.

    Parameters
    ----------
    load
        Gives the network as it is in its file. Asked again when the network has to move to the CPU.
    template
        Joints and reduced vertices of the mean hand and head, as `DiceNetwork.forward` takes them: (21 | 68 | 195 |
        559, 3).
    device, precision
        See `network.device`.

    Attributes
    ----------
    device
        Where the network runs now.
    """

    def __init__(
        self, load: Callable[[], DiceNetwork], template: Sequence[NDArray], device: Device, precision: Precision
    ) -> None:
        self._load, self._precision, self._fresh = load, precision, True
        self._template = [torch.from_numpy(np.float32(part))[None] for part in template]
        self._lacks = {"precision": meaning(precision, device)}
        try:
            self._move_to(device)
        except RuntimeError as error:
            self._give_way(error, 1)

    @property
    def batch(self) -> int:
        """How many pictures the device takes at a time."""
        return self._batch

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the user: what could not be had as it was asked for."""
        return tuple(filter(None, self._lacks.values()))

    def run(self, images: NDArray[np.float32]) -> Prediction:
        """What the network says of (B, 3, 224, 224) crops, as NumPy arrays.

        A GPU that runs out of memory gets fewer pictures at a time; one that cannot take a single one, none any more.
        """
        parts: list[Prediction] = []
        done = 0
        while done < len(images):
            some = torch.from_numpy(images[done : done + self._batch])
            try:
                parts.append(self._answer(some))
            except RuntimeError as error:
                self._give_way(error, len(some))
            else:
                done += len(some)
        return Prediction(*map(np.concatenate, zip(*parts, strict=True)))  # type: ignore[arg-type]

    def _answer(self, images: Tensor) -> Prediction:
        # At its first picture a network on the CPU rearranges its convolutions' weights.
        with frugal() if self._fresh else nullcontext(), computing(self._precision):
            prediction = self._predictor(images)(images)
            together = torch.cat([part.flatten(1) for part in prediction], 1).cpu()  # the only wait
        self._fresh = False
        parts = together.split([part[0].numel() for part in prediction], 1)
        shaped = (part.reshape(whole.shape).numpy() for part, whole in zip(parts, prediction, strict=True))
        return Prediction(*shaped)

    def _predictor(self, images: Tensor) -> Callable[[Tensor], Prediction]:
        """The network for batches of that size: on CUDA, where such batches come often, as a graph of its kernels."""
        count = len(images)
        if self.device.kind != "cuda" or FEW < count < self._batch:
            return lambda batch: self._network(batch.to(self.device.kind), *self._template)
        if count not in self._graphs:
            self._graphs[count] = graph(self._network, self._template, images)
        return self._graphs[count]

    def _move_to(self, device: Device) -> None:
        self.device, self._batch = device, BATCH[device.kind]
        self._graphs: dict[int, Callable[[Tensor], Prediction]] = {}
        vars(self).pop("_network", None)  # what takes its place needs its memory
        self._template = [part.to(device.kind) for part in self._template]
        with frugal():
            self._network = self._load().optimize(device.kind)
        self._fresh = True

    def _give_way(self, error: RuntimeError, tried: int) -> None:
        """Go on with smaller batches than were tried, or on the CPU. What is wrong otherwise is raised."""
        if not any(sign in text for sign in OUT_OF_MEMORY for text in _chain(error)):
            raise error
        if self.device.kind == "cpu":
            raise DiceError("The network does not fit into memory.", "Close other programs and try again.") from error
        self._graphs = {}
        if tried > 1:
            self._batch = tried // 2
            note = f"The GPU ran out of memory; the network takes {self._batch} at a time now."
        else:
            self._move_to(Device("cpu", f"CPU: the GPU ran out of memory ({self.device.reason.removesuffix('.')})."))
            note = self.device.reason
        self._lacks["memory"] = note


def _chain(error: BaseException | None) -> Iterator[str]:
    """What an error and those before it say: a graph that lacks memory ends in a complaint of its own."""
    while error is not None:
        yield str(error)
        error = error.__context__


def graph(network: DiceNetwork, template: Sequence[Tensor], images: Tensor) -> Callable[[Tensor], Prediction]:
    """The network as a CUDA graph: all its kernels are launched at once. For batches of the size of `images`."""
    shown = images.to("cuda")
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):  # libraries set themselves up at first calls, which a graph must not hold
        for _ in range(3):
            network(shown, *template)
    torch.cuda.current_stream().wait_stream(aside)
    captured = torch.cuda.CUDAGraph()
    with torch.cuda.graph(captured):
        prediction = network(shown, *template)

    def replay(batch: Tensor) -> Prediction:
        shown.copy_(batch)
        captured.replay()
        return prediction

    return replay

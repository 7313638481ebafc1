# SPDX-License-Identifier: GPL-3.0-or-later
"""Batches, and memories that are too small for them. A second CPU stands in for a GPU; its memory is made up."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (install_deps.py --engine dice)")

from dice_core.errors import DiceError  # noqa: E402
from dice_core.network import runner as module  # noqa: E402
from dice_core.network.device import Device, choose  # noqa: E402
from dice_core.network.model import DiceNetwork  # noqa: E402
from dice_core.network.runner import Runner  # noqa: E402

pytestmark = pytest.mark.torch
CPU = Device("cpu", "CPU: no CUDA device was found.")
GPU = Device("cpu:0", "CUDA: A card.", True)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(5).normal(size=(7, 3, 64, 64)).astype(np.float32)


@pytest.fixture
def template() -> list[np.ndarray]:
    random = np.random.default_rng(6)
    return [random.normal(size=(count, 3)) for count in (21, 68, 6, 8)]


@pytest.fixture
def made(made_up, template, monkeypatch):
    """`made(device, room=3)`: a runner, whose GPU has room for so many pictures, and the sizes of its batches."""
    monkeypatch.setitem(module.BATCH, "cpu:0", 4)

    def make(device: Device, room: int = 100, error: str = "CUDA out of memory. Tried to allocate", broken: int = 0):
        sizes: list[tuple[str, int]] = []

        class Network(DiceNetwork):
            def optimize(self, device="cpu"):
                self.where = device
                if device == "cpu:0" and broken:
                    raise torch.OutOfMemoryError(error)
                return super().optimize(device)

            def forward(self, image, *rest, **options):
                sizes.append((self.where, len(image)))
                if self.where == "cpu:0" and len(image) > room:
                    raise RuntimeError(error)
                return super().forward(image, *rest, **options)

        made = Runner(lambda: Network.from_state_dict(made_up(), heads=2), template, device, "exact")
        return made, sizes

    return make


def test_batches_are_the_pictures_one_by_one(made, images, made_up, template, monkeypatch):
    monkeypatch.setitem(module.BATCH, "cpu", 3)
    runner, sizes = made(CPU)
    prediction = runner.run(images)
    assert sizes == [("cpu", 3), ("cpu", 3), ("cpu", 1)] and runner.notes == ()
    plain = DiceNetwork.from_state_dict(made_up(), heads=2)
    shown = [torch.from_numpy(np.float32(part))[None] for part in template]
    for index in range(7):
        alone = plain(torch.from_numpy(images[index : index + 1]), *shown)
        for ours, expected in zip(prediction, alone, strict=True):
            assert isinstance(ours, np.ndarray) and ours.shape[1:] == expected.shape[1:]
            assert np.allclose(ours[index], expected[0], atol=1e-3)


@pytest.mark.parametrize("error", ["CUDA out of memory. Tried to allocate 2 GiB", "CUBLAS_STATUS_ALLOC_FAILED",
                                   "MPS backend out of memory"])  # fmt: skip
def test_smaller_batches_when_memory_is_short(error, made, images):
    whole, _ = made(GPU)
    runner, sizes = made(GPU, room=2, error=error)
    prediction = runner.run(images)
    assert [count for _, count in sizes] == [4, 2, 2, 2, 1] and runner.device == GPU
    assert len(runner.notes) == 1 and "2 at a time" in runner.notes[0]
    assert all(np.allclose(a, b, atol=1e-3) for a, b in zip(prediction, whole.run(images), strict=True))
    runner.run(images)
    assert max(count for _, count in sizes[5:]) == 2, "it does not try again what did not fit"


def test_memory_that_was_short_while_a_graph_was_made(made, images, monkeypatch):
    """torch then complains of the graph that could not be ended; the shortage is the error before."""
    runner, _ = made(GPU)
    forward = runner._network.forward

    def capturing(image, *rest):
        try:
            if len(image) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return forward(image, *rest)
        except torch.OutOfMemoryError:
            raise RuntimeError("operation failed due to a previous error during capture")  # noqa: B904

    monkeypatch.setattr(runner._network, "forward", capturing)
    assert len(runner.run(images).presence) == 7 and "2 at a time" in runner.notes[0]


def test_the_cpu_when_not_one_picture_fits(made, images):
    runner, sizes = made(GPU, room=0)
    prediction = runner.run(images)
    assert sizes[:3] == [("cpu:0", 4), ("cpu:0", 2), ("cpu:0", 1)] and sizes[3][0] == "cpu"
    assert runner.device.kind == "cpu" and "A card" in runner.device.reason
    assert runner.notes == (runner.device.reason,) and len(prediction.presence) == 7


def test_the_cpu_when_the_weights_do_not_fit(made, images):
    runner, sizes = made(GPU, broken=1)
    assert runner.device.kind == "cpu" and "out of memory" in runner.notes[0]
    runner.run(images)
    assert {where for where, _ in sizes} == {"cpu"}


def test_no_memory_on_the_cpu_either(made, images, monkeypatch):
    runner, _ = made(CPU)

    def full(*_):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(runner._network, "forward", full)
    with pytest.raises(DiceError, match="does not fit into memory"):
        runner.run(images)


def test_other_errors_are_errors(made, images):
    runner, _ = made(GPU, room=0, error="CUDA error: an illegal memory access was encountered")
    with pytest.raises(RuntimeError, match="illegal"):
        runner.run(images)


def test_fast_says_what_it_is_worth(made_up, template):
    network = DiceNetwork.from_state_dict(made_up(), heads=2)
    assert "float32" in Runner(lambda: network, template, CPU, "fast").notes[0]


@pytest.mark.gpu
def test_cuda_gives_the_same(made_up, template, images):
    """Batches that become graphs, and one that does not."""
    device = choose()
    if device.kind != "cuda":
        pytest.skip(device.reason)
    runners = [
        Runner(lambda: DiceNetwork.from_state_dict(made_up(), heads=2), template, where, "exact")
        for where in (device, CPU)
    ]
    for count in (1, 2, 1, 7):
        here, there = (runner.run(images[-count:]) for runner in runners)
        assert all(np.allclose(a, b, atol=1e-3) for a, b in zip(here, there, strict=True)), count
    assert set(runners[0]._graphs) == {1, 2}

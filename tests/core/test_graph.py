# SPDX-License-Identifier: GPL-3.0-or-later
"""Models that also tell what they compute on the way, compared with LiteRT's own way to look into a model."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from dice_core.landmarks import models
from dice_core.landmarks.graph import with_outputs
from dice_core.landmarks.litert import HAND_TENSORS
from dice_core.paths import models_dir


@pytest.fixture(scope="module")
def content(runtime) -> bytes:
    return models.path(models_dir(runtime), "hand_landmark_full").read_bytes()


def run(content: bytes, **options) -> tuple[list[np.ndarray], Interpreter]:
    """The outputs for a picture of noise, in the file's order."""
    model = Interpreter(model_content=content, num_threads=1, **options)
    model.allocate_tensors()
    picture = np.random.default_rng(0).uniform(0, 1, (1, 224, 224, 3)).astype(np.float32)
    model.set_tensor(model.get_input_details()[0]["index"], picture)
    model.invoke()
    return [model.get_tensor(one["index"]) for one in model.get_output_details()], model


def test_outputs_are_added_and_the_own_ones_stay(content):
    plain, _ = run(content)
    more, _ = run(with_outputs(content, HAND_TENSORS))
    assert len(more) == len(plain) + len(HAND_TENSORS)
    for one, other in zip(plain, more, strict=False):
        assert np.abs(one - other).max() < 1e-5


@pytest.mark.filterwarnings("ignore:.*experimental_preserve_all_tensors")
def test_they_are_the_tensors_of_that_name(content):
    added = run(with_outputs(content, HAND_TENSORS))[0][-len(HAND_TENSORS) :]
    _, model = run(content, experimental_preserve_all_tensors=True)
    index = {one["name"]: one["index"] for one in model.get_tensor_details()}
    for name, values in zip(HAND_TENSORS, added, strict=True):
        wanted = model.get_tensor(index[name])
        assert values.shape == wanted.shape
        assert np.abs(values - wanted).max() < 1e-3 * np.abs(wanted).max()


def test_unknown_names_are_refused(content):
    with pytest.raises(KeyError, match="nothing"):
        with_outputs(content, ["nothing"])


def test_without_names_the_model_is_the_same(content):
    one, other = run(content)[0], run(with_outputs(content, []))[0]
    assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))

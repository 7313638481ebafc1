# SPDX-License-Identifier: GPL-3.0-or-later
"""The full-size network against what the official code answered, in float32 and in float64."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (install_deps.py --engine dice)")

from dice_core.network.model import DiceNetwork  # noqa: E402
from tools.made_up_network import FULL, names  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow]

FLOAT32, FLOAT64 = 3e-5, 1e-8
# Recorded activations that are not whole (golden act_subsampling): channels and rows, or tokens and features.
STEPS = {
    "hr": (8, 4, 4),
    "trans0_layer0": (16, 4),
    "tokens": (16,),
    "feat_down": (16,),
    "trans0": (8,),
    "trans1": (4,),
    "deform0": (4,),
}


def errors(prediction, recorded, prefix: str = "eval_") -> dict[str, float]:
    """Largest difference of every output that was recorded."""
    found = {name: value for name, value in prediction._asdict().items() if prefix + name in recorded}
    assert len(found) == 26 or prefix == "train_masked_", sorted(found)
    for name, value in found.items():
        assert value.shape == recorded[prefix + name].shape, name
    return {name: float(np.abs(value.numpy() - recorded[prefix + name]).max()) for name, value in found.items()}


@pytest.fixture(scope="module")
def plain(full_state):
    return DiceNetwork.from_state_dict(full_state.tensors)


@pytest.fixture(scope="module")
def fast(full_state):
    return DiceNetwork.from_state_dict(full_state.tensors).optimize()


def test_weights_are_the_recorded_ones(full_state):
    assert full_state.rebuilt == 2454
    assert full_state.wrong == []


def test_the_full_size_is_known(full_state):
    """What `make bench` measures has the official network's sizes."""
    wanted = {name: tuple(tensor.shape) for name, tensor in full_state.tensors.items()}
    made_up = {name.removeprefix("norm:"): shape for name, shape in names(FULL)}
    norms = {name.removeprefix("norm:") for name, _ in names(FULL) if name.startswith("norm:")}
    for name, shape in wanted.items():
        whole, _, part = name.rpartition(".")
        if "position_embeddings" not in name:  # as many as there are tokens, or more
            assert made_up[whole if whole in norms else name] == shape, name
    assert len(wanted) == sum(4 if name in norms else 1 for name in made_up if not unused(name))


def unused(name: str) -> bool:
    return any(part in name for part in (".bert.embeddings.", ".bert.pooler.", "backbone.classifier."))


@pytest.mark.parametrize("kind", ["plain", "fast"])
def test_float32(kind, request, golden):
    network = request.getfixturevalue(kind)
    inputs, recorded = golden("full_a")
    assert max(errors(network(*inputs), recorded).values()) < FLOAT32
    ungated = network(*inputs, gate=False).deform.numpy()
    assert np.abs(ungated - recorded["train_ones_deform"]).max() < FLOAT32
    masked = network(*inputs, mask=torch.from_numpy(recorded["mask"]), gate=False)
    assert max(errors(masked, recorded, "train_masked_").values()) < FLOAT32
    assert np.abs(recorded["train_masked_hand_verts"] - recorded["eval_hand_verts"]).max() > 0.1  # the mask matters


def test_activations(plain, golden):
    """Stage by stage, so that a fault is found where it is made."""
    inputs, recorded = golden("full_a")
    seen = {}
    places = {
        "hr_layer1": plain.backbone.layer1,
        "backbone": plain.backbone,
        "presence_feat": plain.presence.features,
        "feat_down": plain.encoder.feat_downsampler,
        "trans0_layer0_0": plain.encoder.trans_encoder[0].layers[0],
    }
    places |= {f"trans{index}": block for index, block in enumerate(plain.encoder.trans_encoder)}
    places |= {f"deform{index}": block for index, block in enumerate(plain.encoder.deform_encoder)}
    places |= {f"hr_stage{index + 2}": stage for index, stage in enumerate(plain.backbone.stages)}
    handles = [
        place.register_forward_hook(lambda _, __, out, name=name: seen.update({name: out}))
        for name, place in places.items()
    ]
    handles += [
        plain.encoder.trans_encoder[0].register_forward_pre_hook(lambda _, args: seen.update(tokens=args[0][..., 3:]))
    ]
    plain(*inputs)
    for handle in handles:
        handle.remove()
    for number in (2, 3, 4):
        seen |= {f"hr_stage{number}_{index}": branch for index, branch in enumerate(seen.pop(f"hr_stage{number}"))}
    names = {key.removeprefix("act_") for key in recorded if key.startswith("act_")} - {"subsampling"}
    assert names == set(seen) and len(names) == 20
    for name in names:
        step = next((step for start, step in STEPS.items() if name == start or name.startswith(f"{start}_")), ())
        value = seen[name][(slice(None), *(slice(None, None, n) for n in step))]
        assert value.shape == recorded[f"act_{name}"].shape, name
        assert np.abs(value.numpy() - recorded[f"act_{name}"]).max() < FLOAT32, name


def test_float64(full_state, golden, goldens):
    """Float64 sees what float32 cannot: an eps of 1e-6 in place of 1e-12. The rewrites hold there too."""
    inputs = [value.double() for value in golden("full_a")[0]]
    with np.load(goldens / "golden_full_a_f64.npz") as archive:
        recorded = {key: archive[key] for key in archive.files}
    network = DiceNetwork.from_state_dict(full_state.tensors).double()
    assert max(errors(network(*inputs), recorded, "").values()) < FLOAT64
    assert max(errors(network.optimize()(*inputs), recorded, "").values()) < FLOAT64
    other = DiceNetwork.from_state_dict(full_state.tensors, layer_norm_eps=1e-6).double()
    assert max(errors(other(*inputs), recorded, "").values()) > 10 * FLOAT64


def test_heads_matter(full_state, golden):
    inputs, recorded = golden("full_a")
    for heads in (2, 8):
        found = errors(DiceNetwork.from_state_dict(full_state.tensors, heads=heads)(*inputs), recorded)
        assert found["head_verts"] > 0.1 and found["cam_param"] > 1e-3

# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of other sizes: everything is read from the tensors, and what does not fit is named."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (install_deps.py --engine dice)")

from dice_core.errors import DiceError  # noqa: E402
from dice_core.network.model import DiceNetwork, Prediction  # noqa: E402
from dice_core.network.weights import Weights  # noqa: E402

pytestmark = pytest.mark.torch

VARIANTS = {
    "plain": {},
    "other sizes": {"channels": 2, "features": 7, "vertices": (5, 11, 4, 9, 30), "down": 9},
    "one block": {"trans": ((8, 3),), "deform": ((4, 4),)},
    "four blocks": {"trans": ((16, 9), (8, 8), (8, 5), (4, 3)), "deform": ((4, 3), (12, 4)), "layers": 3},
}


def inputs_for(vertices: tuple[int, ...], dtype=torch.float64) -> list:
    random = torch.Generator().manual_seed(4)
    shapes = [(2, 3, 64, 64), (1, 21, 3), (1, 68, 3), (1, vertices[0], 3), (1, vertices[2], 3)]
    return [torch.randn(shape, generator=random, dtype=dtype) for shape in shapes]


@pytest.mark.parametrize("variant", VARIANTS)
def test_sizes_come_from_the_tensors(variant, made_up):
    sizes = VARIANTS[variant]
    vertices = sizes.get("vertices", (6, 9, 8, 12, 20))
    network = DiceNetwork.from_state_dict(made_up(**sizes), heads=2).double()
    prediction = network(*inputs_for(vertices))
    counts = [
        getattr(prediction, name).shape[1]
        for name in ("hand_verts_sub", "hand_verts", "head_verts_sub2", "head_verts_sub1", "head_verts")
    ]
    assert tuple(counts) == vertices
    assert [part.shape[0] for part in prediction] == [2] * 26
    assert [part.shape[1] for part in prediction[13:22]] == [10, 3, 3, 45, 100, 50, 6, 3, 3]
    assert all(part.isfinite().all() for part in prediction)


@pytest.mark.parametrize("variant", VARIANTS)
def test_rewrites_are_exact(variant, made_up):
    """In float64 nothing but rounding may differ: with and without a mask, whatever the sizes."""
    sizes = VARIANTS[variant]
    state, inputs = made_up(**sizes), inputs_for(sizes.get("vertices", (6, 9, 8, 12, 20)))
    network = DiceNetwork.from_state_dict(state, heads=2).double()
    tokens = network.encoder.spread.shape[0]
    masks = [None, torch.rand(tokens) > 0.3, torch.rand(2, tokens) > 0.3]
    before = [network(*inputs, mask=mask) for mask in masks]
    fast = network.optimize()
    for mask, expected in zip(masks, before, strict=True):
        for name, value, other in zip(Prediction._fields, fast(*inputs, mask=mask), expected, strict=True):
            assert torch.allclose(value, other, rtol=0, atol=1e-11), name
    assert not torch.allclose(before[0].head_verts, before[1].head_verts, atol=1e-3)
    assert network.optimize() is network  # a second time does no harm


def test_float32_rewrites_round_as_the_plain_network_does(made_up):
    """Few channels make a network of this size sensitive: what float64 says is the measure for both."""
    inputs = inputs_for((6, 9, 8, 12, 20))
    exact = DiceNetwork.from_state_dict(made_up(), heads=2).double()(*inputs)
    singles = [value.float() for value in inputs]
    plain = DiceNetwork.from_state_dict(made_up(), heads=2)(*singles)
    fast = DiceNetwork.from_state_dict(made_up(), heads=2).optimize()(*singles)
    rounding, other = (
        max(float((value - truth).abs().max()) for value, truth in zip(prediction, exact, strict=True))
        for prediction in (plain, fast)
    )
    assert all(value.dtype == torch.float32 for value in fast)
    assert 0 < other < 10 * rounding < 1e-2


def test_batch_is_its_pictures(made_up):
    network = DiceNetwork.from_state_dict(made_up(), heads=2).double().optimize()
    image, *template = inputs_for((6, 9, 8, 12, 20))
    both = network(image, *template)
    for index in range(2):
        alone = network(image[index : index + 1], *template)
        assert all(torch.allclose(a[0], b[index], atol=1e-12) for a, b in zip(alone, both, strict=True))


def test_gate(made_up):
    """No deformation where nothing touches; only at full resolution, and only if asked for."""
    state = made_up()
    inputs = inputs_for((6, 9, 8, 12, 20))
    for bias, present in ((50.0, True), (-50.0, False)):
        state["contact_classifier.0.bias"] = torch.tensor([bias])
        network = DiceNetwork.from_state_dict(state, heads=2).double()
        gated, free = network(*inputs), network(*inputs, gate=False)
        assert bool((gated.presence > 0.5).all()) == present
        assert bool(gated.deform.any()) == present and free.deform.any()
        assert torch.equal(gated.deform_sub1, free.deform_sub1) and gated.deform_sub1.any()


def test_unused_tensors_are_not_kept(made_up):
    state = made_up()
    weights = Weights(state)
    network = DiceNetwork.from_weights(weights, 2, 1e-12)
    unused = {name for name in state if name not in weights.used}
    kinds = ("embeddings.word", "pooler", "backbone.classifier", "num_batches_tracked")
    assert unused and all(any(kind in name for kind in kinds) for name in unused)
    kept = sum(value.numel() for value in [*network.parameters(), *network.buffers()])
    positions = sum(5 * value.shape[1] for name, value in state.items() if "bert.position_embeddings" in name)
    assert kept == sum(state[name].numel() for name in weights.used) - positions


def test_heads_by_block(made_up):
    """Blocks may differ; who has not enough channels for its heads is named."""
    state = made_up()
    inputs = inputs_for((6, 9, 8, 12, 20))
    heads = {"trans_encoder.0": 4, "trans_encoder.1": 2, "deform_encoder.0": 4, "deform_encoder.1": 2}
    same = DiceNetwork.from_state_dict(state, heads).double()(*inputs)
    other = DiceNetwork.from_state_dict(state, heads | {"deform_encoder.1": 1}).double()(*inputs)
    assert torch.equal(same.head_verts, other.head_verts) and not torch.equal(same.deform, other.deform)
    with pytest.raises(DiceError, match="do not fit together: trans_encoder.0.* 3 heads"):
        DiceNetwork.from_state_dict(state, heads=3)
    with pytest.raises(DiceError, match="deform_encoder.1"):
        DiceNetwork.from_state_dict(state, {"trans_encoder.0": 4, "trans_encoder.1": 2, "deform_encoder.0": 4})


@pytest.mark.parametrize(
    "name",
    ["backbone.final_layer.0.bias", "backbone.stage3.0.fuse_layers.2.0.1.0.weight", "conv_learn_tokens.weight",
     "trans_encoder.0.bert.encoder.layer.1.output.LayerNorm.bias", "hand_upsampling.weight",
     "hand_param_regressor.regressor.1.fc_block.4.running_var", "backbone.transition1.1.0.0.weight"],
)  # fmt: skip
def test_a_missing_tensor_is_named(name, made_up):
    state = made_up()
    del state[name]
    with pytest.raises(DiceError, match=f"lacks 1 tensors.*{name}") as error:
        DiceNetwork.from_state_dict(state, heads=2)
    assert error.value.remedy


def test_all_missing_tensors_are_counted(made_up):
    state = made_up()
    gone = [name for name in state if "num_batches" not in name and ("query" in name or "upsampling" in name)]
    for name in gone:
        del state[name]
    with pytest.raises(DiceError, match=f"lacks {len(gone)} tensors"):
        DiceNetwork.from_state_dict(state, heads=2)


def test_a_gap_among_layers_is_missing(made_up):
    state = {name: value for name, value in made_up(layers=3).items() if ".encoder.layer.1." not in name}
    with pytest.raises(DiceError, match=r"trans_encoder\.0\.bert\.encoder\.layer\.1\."):
        DiceNetwork.from_state_dict(state, heads=2)


@pytest.mark.parametrize(
    ("name", "shape"),
    [("trans_encoder.1.residual.weight", (3, 8)), ("deform_encoder.1.cls_head.weight", (3, 4)),
     ("conv_learn_tokens.bias", (100,)), ("backbone.layer1.0.bn2.running_mean", (1,)),
     ("trans_encoder.0.bert.position_embeddings.weight", (102, 8)), ("head_contact_upsampling2.weight", (19, 12)),
     ("face_param_regressor.regressor.2.weight", (161, 7)), ("feat_downsampler.weight", (5, 13, 1)),
     ("contact_classifier.0.weight", (1, 0)), ("cam_param_fc.weight", (1,))],
)  # fmt: skip
def test_a_tensor_of_another_shape_is_named(name, shape, made_up):
    with pytest.raises(DiceError, match=f"do not fit together: .*{name}"):
        DiceNetwork.from_state_dict(made_up() | {name: torch.zeros(shape)}, heads=2)


def test_another_network_is_refused():
    other = {
        "conv1.weight": torch.zeros(64, 3, 7, 7),
        "fc.weight": torch.zeros(1000, 512),
        "": torch.zeros(1),
        ".": torch.zeros(1),
    }
    with pytest.raises(DiceError, match="of another network: it has conv1.weight"):
        DiceNetwork.from_state_dict(other)
    with pytest.raises(DiceError, match="no tensors at all"):
        DiceNetwork.from_state_dict({})


def test_all_that_is_missing_is_named(made_up):
    state = made_up()
    gone = [name for name in state if name.startswith("cam_param_fc") or ".0.attention.self." in name]
    assert len(gone) > 12
    with pytest.raises(DiceError) as raised:
        DiceNetwork.from_state_dict({name: tensor for name, tensor in state.items() if name not in gone}, heads=2)
    assert f"lacks {len(gone)} tensors" in raised.value.message
    assert all(name in raised.value.message for name in gone)


def test_absurd_numbers_of_parts(made_up):
    far = made_up() | {"trans_encoder.99999999.x": torch.zeros(1), "backbone.layer1.٣.conv1.weight": torch.zeros(1)}
    with pytest.raises(DiceError, match="trans_encoder has more than"):
        DiceNetwork.from_state_dict(far, heads=2)


def test_integers_are_no_weights(made_up):
    with pytest.raises(DiceError, match="cam_param_fc.bias holds torch.int64"):
        DiceNetwork.from_state_dict(made_up() | {"cam_param_fc.bias": torch.zeros(1, dtype=torch.int64)}, heads=2)

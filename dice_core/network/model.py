# SPDX-License-Identifier: GPL-3.0-or-later
"""The DICE network (Wu et al., DICE: End-to-end Deformation Capture of Hand-Face Interactions from a Single Image,
2024), number for number what the official code computes after training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn

from . import fast, packed
from .encoder import Encoder
from .heads import FACE_PARAMETERS, HAND_PARAMETERS, Camera, Presence, Regressor, over_vertices
from .hrnet import HRNet
from .transformer import Eps, Heads
from .weights import Weights

HAND_JOINTS, HEAD_JOINTS = 21, 68
PRESENT = 0.5


class Prediction(NamedTuple):
    """What the network says of B crops. Lengths are metres; deformed head = head - deform (minus).

    Attributes
    ----------
    cam_param
        (B, 3): with s = 10 |c0|, a point p minus the head's mean lies at (s p_x + c1, s p_y + c2) pixels of the crop.
    hand_joints, head_joints
        (B, 21, 3), (B, 68, 3).
    hand_verts_sub, hand_verts, head_verts_sub2, head_verts_sub1, head_verts
        (B, 195 | 778 | 559 | 1675 | 5023, 3).
    hand_contact_sub, hand_contact, head_contact_sub2, head_contact_sub1, head_contact
        (B, vertices, 1) probabilities.
    rh_betas, rh_transl, rh_rot, rh_pose
        (B, 10 | 3 | 3 | 45) MANO, right hand.
    face_shape, face_exp, face_pose, face_rot, face_transl
        (B, 100 | 50 | 6 | 3 | 3) FLAME; face_pose holds the global rotation and the jaw's.
    deform_sub2, deform_sub1, deform
        (B, 559 | 1675 | 5023, 3).
    presence
        (B, 1) probability of contact.
    """

    cam_param: Tensor
    hand_joints: Tensor
    head_joints: Tensor
    hand_verts_sub: Tensor
    hand_verts: Tensor
    head_verts_sub2: Tensor
    head_verts_sub1: Tensor
    head_verts: Tensor
    hand_contact_sub: Tensor
    hand_contact: Tensor
    head_contact_sub2: Tensor
    head_contact_sub1: Tensor
    head_contact: Tensor
    rh_betas: Tensor
    rh_transl: Tensor
    rh_rot: Tensor
    rh_pose: Tensor
    face_shape: Tensor
    face_exp: Tensor
    face_pose: Tensor
    face_rot: Tensor
    face_transl: Tensor
    deform_sub2: Tensor
    deform_sub1: Tensor
    deform: Tensor
    presence: Tensor


class DiceNetwork(nn.Module):
    """The network as the paper's code writes it down. `optimize` gives one that computes the same sooner.

    Attributes
    ----------
    sizes
        Vertices of the meshes that it speaks of, and cells of the feature map that it makes of a picture.
    """

    def __init__(self, weights: Weights, heads: Heads, layer_norm_eps: Eps) -> None:
        super().__init__()
        self.backbone = HRNet(weights.at("backbone"))
        sizes = self._upsamplers(weights)
        self.counts = (HAND_JOINTS, HEAD_JOINTS, sizes["hand_sub"], sizes["head_sub2"])
        tokens = sum(self.counts)
        encoder = Encoder(weights, self.backbone.width, tokens, heads, layer_norm_eps)
        self.encoder: nn.Module = encoder
        self.sizes = sizes | {"cells": encoder.cells}
        self.camera = Camera(weights, tokens)
        self.hand_regressor = Regressor(weights.at("hand_param_regressor.regressor"), sizes["hand"], HAND_PARAMETERS)
        self.face_regressor = Regressor(
            weights.at("face_param_regressor.regressor"), sizes["head_sub1"], FACE_PARAMETERS
        )
        self.presence = Presence(weights, self.backbone.width, encoder.cells)

    @classmethod
    def from_state_dict(cls, state: Mapping[str, Tensor], heads: Heads = 4, layer_norm_eps: Eps = 1e-12) -> DiceNetwork:
        """The network with these tensors, which are shared, not copied; what it does not read is not kept.

        Parameters
        ----------
        state
            Tensors by their official names. Every size is read from them.
        heads, layer_norm_eps
            What tensors cannot tell: of all transformer blocks, or by their names (`{"trans_encoder.0": 4, ...}`).

        Raises
        ------
        DiceError
            When tensors are missing (all are named) or do not fit together.
        """
        return cls.from_weights(Weights(state), heads, layer_norm_eps)

    @classmethod
    def from_weights(cls, weights: Weights, heads: Heads, layer_norm_eps: Eps) -> DiceNetwork:
        """As `from_state_dict`; afterwards `weights.used` names the tensors that were taken."""
        network = cls(weights, heads, layer_norm_eps)
        weights.finish()
        return network.eval()

    def _upsamplers(self, weights: Weights) -> dict[str, int]:
        """Make the upsamplers of meshes, contacts and deformations; how many vertices each level has."""
        self.hand_up = weights.linear("hand_upsampling")
        self.head_up1 = weights.linear("head_upsampling1")
        self.head_up2 = weights.linear("head_upsampling2", self.head_up1.out_features)
        hand = self.hand_up.in_features, self.hand_up.out_features
        head1 = self.head_up1.in_features, self.head_up1.out_features
        head2 = self.head_up2.in_features, self.head_up2.out_features
        self.hand_contact_up = weights.linear("hand_contact_upsampling", *hand)
        self.head_contact_up1 = weights.linear("head_contact_upsampling1", *head1)
        self.head_contact_up2 = weights.linear("head_contact_upsampling2", *head2)
        self.deform_up1 = weights.linear("head_deform_upsampling1", *head1)
        self.deform_up2 = weights.linear("head_deform_upsampling2", *head2)
        return {"hand_sub": hand[0], "hand": hand[1], "head_sub2": head1[0], "head_sub1": head1[1], "head": head2[1]}

    @torch.inference_mode()
    def optimize(self, device: torch.device | str = "cpu") -> DiceNetwork:
        """Rewrite the network in place so that it computes the same numbers sooner (see `fast`); returns it.

        The tensors that it was made from are let go of along the way.

        Parameters
        ----------
        device
            Where it shall run: it cannot be moved afterwards.
        """
        if isinstance(self.encoder, Encoder):
            plain, self.encoder = self.encoder, nn.Identity()
            self.encoder = fast.FastEncoder(plain)
            del plain
            fast.fold(self)
            self.to(device)
            for layer in self.modules():
                if isinstance(layer, packed.Linear):
                    layer.pack()
        return self

    @torch.inference_mode()
    def forward(
        self,
        image: Tensor,
        hand_joints: Tensor,
        head_joints: Tensor,
        hand_verts: Tensor,
        head_verts: Tensor,
        mask: Tensor | None = None,
        gate: bool = True,
    ) -> Prediction:
        """Predict.

        Parameters
        ----------
        image
            (B, 3, 224, 224), as `preprocess` makes it: channels B, G, R.
        hand_joints, head_joints, hand_verts, head_verts
            The template, (B or 1, 21 | 68 | 195 | 559, 3): joints and reduced vertices of the mean hand and head.
        mask
            Tokens to keep (1) or drop (0), (N,) or (B, N). Only the official demonstration drops some, at random.
        gate
            No deformation where presence says that nothing touches, as the official test mode does.
        """
        features = self.backbone(image).flatten(2).transpose(1, 2)
        reference = template(hand_joints, head_joints, hand_verts, head_verts).expand(len(image), -1, -1)
        kept = None if mask is None else mask.to(reference).expand(len(image), -1)[..., None]
        coordinates, surface = self.encoder(features, reference, kept)
        return self.decode(coordinates, surface, self.presence(features), gate)

    def decode(self, coordinates: Tensor, surface: Tensor, presence: Tensor, gate: bool) -> Prediction:
        """Tokens -> everything."""
        hand_joints, head_joints, hand_sub, head_sub2 = coordinates.split(self.counts, 1)
        hand_verts = over_vertices(self.hand_up, hand_sub)
        head_sub1 = over_vertices(self.head_up1, head_sub2)
        hand_logit, head_logit2 = surface[:, -sum(self.counts[2:]) :, 3:].split(self.counts[2:], 1)
        head_logit1 = over_vertices(self.head_contact_up1, head_logit2)
        deform_sub2 = surface[:, -self.counts[3] :, :3]
        deform_sub1 = over_vertices(self.deform_up1, deform_sub2)
        deform = over_vertices(self.deform_up2, deform_sub1)
        return Prediction(
            cam_param=self.camera(coordinates),
            hand_joints=hand_joints,
            head_joints=head_joints,
            hand_verts_sub=hand_sub,
            hand_verts=hand_verts,
            head_verts_sub2=head_sub2,
            head_verts_sub1=head_sub1,
            head_verts=over_vertices(self.head_up2, head_sub1),
            hand_contact_sub=hand_logit.sigmoid(),
            hand_contact=over_vertices(self.hand_contact_up, hand_logit).sigmoid(),
            head_contact_sub2=head_logit2.sigmoid(),
            head_contact_sub1=head_logit1.sigmoid(),
            head_contact=over_vertices(self.head_contact_up2, head_logit1).sigmoid(),
            **self.hand_regressor(hand_verts),
            **self.face_regressor(head_sub1),
            deform_sub2=deform_sub2,
            deform_sub1=deform_sub1,
            deform=deform * (presence > PRESENT)[..., None] if gate else deform,
            presence=presence,
        )


def template(hand_joints: Tensor, head_joints: Tensor, hand_verts: Tensor, head_verts: Tensor) -> Tensor:
    """(B, N, 3): joints and vertices of the hand about the mean of its vertices, the same of the head."""
    hand_centre, head_centre = hand_verts.mean(1, keepdim=True), head_verts.mean(1, keepdim=True)
    parts = (hand_joints - hand_centre, head_joints - head_centre, hand_verts - hand_centre, head_verts - head_centre)
    return torch.cat(parts, 1)

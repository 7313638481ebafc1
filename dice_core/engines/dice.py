# SPDX-License-Identifier: GPL-3.0-or-later
"""The dice engine: the official network with the user's own weights and body models.

The network knows right hands only. For a left one it is shown the picture in a mirror, and what it says is mirrored
back; for both hands it is asked twice. Its parametric meshes are used, and its deformation only where it says that
hand and face touch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..body.bodies import Bodies
from ..body.kinds import KINDS, missing
from ..body.openbody import head_model
from ..errors import DiceError, ModelsMissing, NothingFound
from ..fit.camera import guess_camera
from ..fit.head import face_width
from ..landmarks.litert import FaceLandmarks, HandLandmarks, Landmarker
from ..landmarks.people import OWN, assign_sides, choice_note, distance, find_people, side_notes
from ..landmarks.regions import Region
from ..network import checkpoint, device
from ..network.extras import with_body_layer
from ..network.model import PRESENT, DiceNetwork, Prediction
from ..network.preprocess import LARGE_HEAD, SIZE, choose_crop, crop_pixels, normalise
from ..network.runner import Runner
from ..types import SIDES, Camera, Capture, Crop, Frame, Hand, HandChoice, Head, Precision, Progress, Side
from .base import BETTER_PICTURE, Clock
from .contact import depths, fix_contact, rigid, softness
from .runs import FAR_OFF, Run, answers, one_head

SIZES = {"hand_sub": 195, "hand": 778, "head_sub2": 559, "head_sub1": 1675, "head": 5023, "cells": 49}
STAGES = ("landmarks", "network", "bodies")
FIX = "contact"  # one more stage, where contact is fixed
PARAMETERS = ("cam_param", "presence", "rh_betas", "rh_transl", "rh_rot", "rh_pose", "face_shape", "face_exp",
              "face_pose", "face_rot", "face_transl")  # fmt: skip


@dataclass(frozen=True)
class _Sought:
    """What to ask of a picture.

    Attributes
    ----------
    region
        The square that the network is shown, in pixels of the full picture.
    face, hands
        What the detector saw, where it did; of the hands those to ask for.
    sides
        Hands to ask for; the network must be asked for one even where there is none.
    notes
        See `Capture.notes`.
    """

    region: Region
    face: FaceLandmarks | None
    hands: dict[Side, HandLandmarks]
    sides: tuple[Side, ...]
    notes: tuple[str, ...]


class DiceEngine:
    """See `Engine`.

    Parameters
    ----------
    landmarks
        Folder of the landmark models, which find the crop.
    models
        Folder of the converted official files.
    precision
        See `network.device`.
    body_layer
        See `network.extras`.
    fix_contact
        Bring the hands that the network says touch to the skin, and deform the skin anew, see `interaction.fix`.

    Raises
    ------
    NotInstalled
        When a file or a package is missing.
    """

    name = "dice"

    def __init__(
        self, landmarks: Path, models: Path, precision: Precision = "exact", body_layer: str = "own",
        fix_contact: bool = False,
    ) -> None:  # fmt: skip
        _check_files(models)
        bodies = Bodies.load(models)
        self.bodies = with_body_layer(bodies, body_layer)
        self.counterparts = bodies.flame.counterparts()
        self.softness = softness(models, SIZES["head"]) if fix_contact else None
        self.stages = (*STAGES, FIX) if fix_contact else STAGES
        self.landmarker = Landmarker(landmarks)
        self.runner = Runner(lambda: _network(models), bodies.templates(), device.choose(), precision)

    @property
    def device(self) -> str:
        return self.runner.device.reason

    def capture(
        self, frame: Frame, hand: HandChoice, report: Progress, crop: Crop | None = None, face: int = 0
    ) -> Capture:
        """See `Engine.capture`. The network sees a crop that is given as it is, whatever the detector finds in it."""
        clock = Clock(self.stages, report)
        with clock("landmarks"):
            sought = self._seek(frame, hand, crop, face)
        with clock("network"):
            prediction = self._predict(frame, sought)
        with clock("bodies"):
            to_picture = sought.region.to_picture(SIZE)
            asked = answers(prediction, self.bodies, sought.sides, to_picture, SIZE, guess_camera(frame))
            runs = _chosen(asked, sought, hand)
            head, hands = one_head(runs, self.counterparts)
        presence = max(run.presence for run in runs)
        if not sought.hands and crop is None:
            head, hands, presence = _untouched(head), (), 0.0
        fixed: tuple[str, ...] = ()
        if self.softness is not None:
            with clock(FIX):
                said = [run.presence for run in runs]
                head, hands, fixed = fix_contact(head, hands, said, rigid(self.bodies), self.softness)
        camera = runs[0].camera
        quality = _quality(camera, head, hands, sought)
        return Capture(
            engine=self.name,
            source=frame.source,
            frame=frame.index,
            camera=camera,
            head=head,
            hands=hands,
            contact_state="no-hand" if not hands else "touch" if presence > PRESENT else "no-touch",
            contact_probability=presence,
            params={"crop": to_picture} | _params(prediction, sought.sides),
            quality=quality,
            timings=clock.seconds,
            notes=(*sought.notes, *side_notes(sought.hands.values()), *fixed, *_doubts(quality), *self.runner.notes),
        )

    def _seek(self, frame: Frame, hand: HandChoice, crop: Crop | None, number: int) -> _Sought:
        face, seen = find_people(self.landmarker, frame, crop, number)
        hands = {one.side: one for one in near(assign_sides(seen, face, hand), face, hand)}
        alone = ("Only one hand was found.",) if hand == "both" and len(hands) == 1 else ()
        if crop is not None:
            left, top, side = crop
            region = Region(np.array([left + side / 2, top + side / 2]), side)
            named: tuple[Side, ...] = {"both": SIDES, "left": ("left",)}.get(hand, ("right",))
            asked = "No hand was detected in the crop; the network was asked all the same."
            return _Sought(region, face, hands, _sides(hands) or named, alone if hands else (asked,))
        if face is None:
            raise NothingFound(
                f"No face was found in {frame.source}, and the dice engine needs one.",
                f"{BETTER_PICTURE} Or say with a crop where they are.",
            )
        region, share = choose_crop(face.points, [one.points for one in hands.values()], *frame.size)
        large = f"The head fills {share:.0%} of the crop, more than in the pictures that the network was trained on."
        notes = choice_note(face, number) + alone + ((large,) if share > LARGE_HEAD else ())
        return _Sought(region, face, hands, _sides(hands) or ("right",), notes)

    def _predict(self, frame: Frame, sought: _Sought) -> Prediction:
        """Of each side sought; a crop is a mirror image for the left one."""
        square = square_of(frame, sought.region)
        return self.runner.run(normalise([square[:, ::-1] if side == "left" else square for side in sought.sides]))


def square_of(frame: Frame, region: Region) -> NDArray[np.uint8]:
    """(224, 224, 3) what a region shows, which is in pixels of the full picture."""
    scale = frame.scale
    return crop_pixels(frame.pixels, replace(region, center=region.center / scale, side=region.side / scale))


def _check_files(models: Path) -> None:
    lacking = [f"{KINDS[key].title} ({KINDS[key].file})" for key in missing(models)]
    if lacking:
        raise ModelsMissing(
            f"The dice engine lacks in {models}: {', '.join(lacking)}.",
            "Choose them under Official Files in Blender's preferences, or run `python -m dice_core convert FILES`: "
            "both say where one gets them. If they were converted into another folder, set DICE_MODELS to it.",
        )


def _network(models: Path) -> DiceNetwork:
    network = checkpoint.load(models)
    if network.sizes != SIZES:
        raise DiceError(
            f"The network in {models} is made for other meshes or pictures: {network.sizes}, not {SIZES}.",
            "Convert the model.bin of the DICE release.",
        )
    return network


def _sides(hands: dict[Side, HandLandmarks]) -> tuple[Side, ...]:
    return tuple(side for side in SIDES if side in hands)


def near(seen: list[HandLandmarks], face: FaceLandmarks | None, choice: HandChoice) -> list[HandLandmarks]:
    """For `auto`: the hands close to the face, or else the nearest one; a far one would only make the crop large."""
    if choice != "auto" or not seen:
        return seen
    return [one for one in seen if distance(one, face) < OWN] or [min(seen, key=lambda one: distance(one, face))]


def _chosen(runs: list[Run], sought: _Sought, choice: HandChoice) -> list[Run]:
    """For `auto`: the hands that touch, or else the nearest one."""
    if choice != "auto" or len(runs) == 1:
        return runs
    touching = [run for run in runs if run.presence > PRESENT]
    return touching or [min(runs, key=lambda run: distance(sought.hands[run.side], sought.face))]


def _untouched(head: Head) -> Head:
    return replace(head, deformation=np.zeros_like(head.deformation), contact=np.zeros_like(head.contact))


def _params(prediction: Prediction, sides: tuple[Side, ...]) -> dict[str, NDArray]:
    """What the network said of the bodies, by side: of a left hand, and of the head with it, in a mirror."""
    named = prediction._asdict()
    return {f"{side}_{name}": named[name][index] for index, side in enumerate(sides) for name in PARAMETERS}


def _doubts(quality: dict[str, float]) -> tuple[str, ...]:
    """What a user should know who does not read numbers."""
    off = quality.get("face_error", 0.0)
    if off < FAR_OFF:
        return ()
    return (
        f"The head lies {off:.0f} % of its width beside the face in the picture: do not trust this result. Do all "
        "files come from their official pages, and does the crop show the head and the hand?",
    )


def _quality(camera: Camera, head: Head, hands: tuple[Hand, ...], sought: _Sought) -> dict[str, float]:
    """The open engine's numbers, as far as the detector saw something to compare with."""
    quality = depths(head, hands)
    face = sought.face
    if face is not None:
        width = face_width(face.points)
        errors = np.linalg.norm(camera.project(head.landmarks) - face.points[head_model().ibug], axis=1)
        quality |= {"face_score": face.score, "face_error": 100 * float(np.median(errors)) / width}
    for hand in hands:
        seen = sought.hands.get(hand.side)
        if face is not None and seen is not None:
            errors = np.linalg.norm(camera.project(hand.joints) - seen.points, axis=1)
            quality[f"hand_{hand.side}_score"] = seen.score
            quality[f"hand_{hand.side}_side_score"] = seen.side_score
            quality[f"hand_{hand.side}_error"] = 100 * float(np.median(errors)) / width
    return quality

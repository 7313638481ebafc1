# SPDX-License-Identifier: GPL-3.0-or-later
"""A case becomes a person with a hand, a camera, and the truth about them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from dice_core.body.openbody import SKIN, HandModel, head_model
from dice_core.interaction.distance import Surface
from dice_core.types import Camera, Capture, Hand, Head

from .cases import Case
from .lay import PARTS, SEEN, Laid, kind_of, lay, target_vertices
from .people import Face, face, hand_of, hand_pose, skin_faces
from .tissue import Pressed, press

YAW = np.radians(45)
ASIDE = ("temple", "ear", "jaw", "cheek")  # regions that a turned head hides
TRIES = 25  # people, until one can hold the hand so
SIZES = ((512, 512), (640, 480), (480, 640))
FOCALS = (0.85, 2.2)  # of the longer side
FACE_SHARE = (0.22, 0.42)  # of the longer side that the face is wide
FACE_WIDTH = 0.15  # metres
MARGIN = 6  # pixels that stay free around the hand and the face
CONTACT = 0.003  # metres: as near as this the surfaces touch
NEAR_JOINT = 0.02  # metres before a joint from which what hides it is somebody else
STILL = Pressed(np.zeros(()), 0.0, 0.0, 0, True)


@dataclass(frozen=True)
class Figure:
    """Everything in camera space, metres.

    Attributes
    ----------
    face
        The head without contact deformation.
    model, laid
        The hand and where it is; None without one.
    pressed
        What pressing moved.
    """

    case: Case
    face: Face
    model: HandModel | None
    laid: Laid | None
    pressed: Pressed
    camera: Camera

    @property
    def head(self) -> NDArray:
        """(V, 3) with deformation."""
        return self.face.vertices + self.pressed.displacement

    def surface(self) -> Surface:
        """What can be touched of the head, deformed."""
        return head_surface(self.head)


def head_surface(vertices: NDArray) -> Surface:
    model = head_model()
    return Surface(vertices, model.solid, model.neck_rim)


def figures(case: Case) -> Iterator[Figure]:
    """Random people who can hold the hand so and fit into a picture."""
    for trial in range(TRIES):
        rng = np.random.default_rng([case.seed, trial])
        person = face(rng, yaw(case))
        model = hand_of(rng, case.side) if case.part else None
        laid = None
        if model is not None:
            parameters = hand_pose(rng, kind_of(case.part))
            part = case.part if case.part in PARTS else "tips"  # of a hand that is only held somehow
            laid = lay(rng, model, parameters, part, person, skin_faces(), target_vertices(case.face_side, case.region))
            if laid is None:
                continue
        seen = _photographed(rng, case, person, model, laid)
        if seen is not None:
            yield seen


def yaw(case: Case) -> float:
    """Radians that the head is turned to its right: any way, but a side of the face that is touched is to be seen."""
    if case.region in ASIDE:
        toward = -1.0 if case.face_side == "right" else 1.0
        return toward * YAW * (1.25 * case.yaw - 0.25)
    return YAW * (2 * case.yaw - 1)


def _photographed(rng: np.random.Generator, case: Case, person: Face, model: HandModel | None, laid: Laid | None
                  ) -> Figure | None:
    """Put the person before a camera, the hand where the case wants it, and press; None if the hand is hidden."""
    width, height = SIZES[rng.integers(len(SIZES))]
    longer = max(width, height)
    focal = longer * np.exp(rng.uniform(*np.log(FOCALS)))
    distance = focal * FACE_WIDTH / (longer * rng.uniform(*FACE_SHARE))
    if laid is not None and not case.touches:
        laid = _held_away(rng, case, laid, person, distance)
    box = person.vertices if laid is None else np.vstack([person.vertices, laid.vertices])
    pixels = focal * box[:, :2] / (box[:, 2:] + distance)
    low, high = pixels.min(0) - MARGIN, pixels.max(0) + MARGIN
    if (high - low > [width, height]).any():
        return None
    corner = rng.uniform(-low, [width, height] - high)  # where the middle of the head's bone is to be seen
    shift = np.r_[(corner - [width / 2, height / 2]) * distance / focal, distance]
    matrix = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], np.float32)
    camera = Camera((width, height), matrix=matrix)
    person = replace(person, vertices=person.vertices + shift)
    shown = None if laid is None else replace(laid.moved(shift), target=laid.target + shift)
    if shown is not None and (_hidden(shown, person) or not _inside(camera, shown)):
        return None
    pressed = replace(STILL, displacement=np.zeros_like(person.vertices))
    if shown is not None and model is not None and case.press:
        shown = shown.moved(-case.press * shown.away)
        pressed = press(person.vertices, shown.vertices, model.faces, shown.away)
    return Figure(case, person, model, shown, pressed, camera)


def _held_away(rng: np.random.Generator, case: Case, laid: Laid, person: Face, distance: float) -> Laid:
    """The hand without touch: `gap` nearer to the camera than the skin, or beside the head."""
    surface = head_surface(person.vertices)
    if case.beside:
        outward = np.array([-1.0 if case.face_side == "right" else 1.0, 0.1, 0.0])
        return laid.moved(outward * rng.uniform(0.05, 0.12))
    assert case.gap is not None
    to_camera = np.array([0, 0, -distance]) - laid.target
    to_camera /= np.linalg.norm(to_camera)
    for _ in range(40):  # along the line of sight until the nearest points are `gap` apart
        short = case.gap - surface.nearest(laid.vertices).distance.min()
        if abs(short) < 2e-4:
            break
        laid = laid.moved(0.9 * short * to_camera)
    return laid


def _inside(camera: Camera, laid: Laid) -> bool:
    points = camera.project(laid.vertices)
    shown = (points > 2).all() and (points < np.array(camera.image_size) - 2).all()
    return bool(shown and laid.vertices[:, 2].min() > 0.1)


def _hidden(laid: Laid, person: Face) -> bool:
    """Whether the head hides too much of the hand."""
    toward = -laid.joints / np.linalg.norm(laid.joints, axis=1, keepdims=True)
    steps = np.linspace(NEAR_JOINT, 0.25, 24)
    places = laid.joints + steps[:, None, None] * toward
    covered = (head_surface(person.vertices).nearest(places.reshape(-1, 3)).distance < 0).reshape(len(steps), -1).any(0)
    return bool((~covered).mean() < SEEN)


def truth(figure: Figure, source: str) -> Capture:
    """What a perfect engine would answer; contact is being nearer than CONTACT after the skin gave way."""
    model = head_model()
    hands: tuple[Hand, ...] = ()
    on_head = np.zeros(len(model.mean), np.float32)
    gap = np.inf
    if figure.model is not None and figure.laid is not None:
        distance = figure.surface().nearest(figure.laid.vertices).distance
        gap = float(distance.min())
        on_hand = (distance < CONTACT).astype(np.float32)
        hand_surface = Surface(figure.laid.vertices, figure.model.faces, figure.model.wrist_rim)
        near = np.flatnonzero(model.part == SKIN)
        on_head[near] = hand_surface.nearest(figure.head[near]).distance < CONTACT
        vertices, joints = (values.astype(np.float32) for values in (figure.laid.vertices, figure.laid.joints))
        hands = (Hand(figure.case.side, vertices, figure.model.faces.astype(np.int32), on_hand, joints),)
    touches = figure.case.touches
    head = Head(
        figure.face.vertices.astype(np.float32), model.faces.astype(np.int32),
        figure.pressed.displacement.astype(np.float32), on_head,
        model.landmarks(figure.face.vertices)[model.ibug].astype(np.float32),
    )  # fmt: skip
    params = {"part": np.array([figure.case.part]), "region": np.array([figure.case.region]),
              "head_global_orient": Rotation.from_matrix(figure.face.rotation).as_rotvec()}
    if figure.laid is not None:
        params[f"hand_{figure.case.side}_parameters"] = figure.laid.parameters
    quality = {"press_mm": 1000 * figure.case.press, "penetration_mm": 1000 * figure.pressed.penetration,
               "volume_change": figure.pressed.volume_change}
    if np.isfinite(gap):
        quality["gap_mm"] = 1000 * gap
    state = "no-hand" if not hands else "touch" if touches else "no-touch"
    return Capture("truth", source, figure.camera, head, hands, state, float(touches), params=params, quality=quality)

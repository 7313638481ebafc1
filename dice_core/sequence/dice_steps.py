# SPDX-License-Identifier: GPL-3.0-or-later
"""The dice engine's steps from what the network said to a result. They need the official bodies, but no torch."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..body.bodies import Bodies
from ..engines.contact import rigid, softness
from ..engines.runs import FAR_OFF
from ..paths import official_models_dir
from ..types import SIDES, Hand, Head
from .base import FRAMES, MOTION, STATIC, InFolder, part_arrays
from .dice_answers import LIFTED, lifted
from .dice_build import UNMOVED, Builder
from .dice_fixing import Fixer, smooth_moves
from .dice_frames import Depths, frame_arrays, judged
from .dice_moments import Moments
from .dice_motion import cast, moved
from .dice_person import acquainted, check_found, there
from .folder import Arrays
from .looking import rows_of
from .open_motion import MIDDLE

PARAMETERS = ("cam_param", "presence", "rh_pose", "rh_rot", "rh_transl", "face_exp", "face_pose", "face_rot",
              "face_transl")  # fmt: skip


class DiceSteps(InFolder):
    """See `Steps`."""

    depend_on_smoothing = (MOTION, STATIC, FRAMES)

    @property
    def order(self) -> tuple[str, ...]:
        """See `Steps`."""
        return ("identity", "fitted", "decided", *(["placed"] if self._fixing else []), MOTION, STATIC, FRAMES)

    @property
    def by_chunk(self) -> dict[str, float]:
        """See `Steps`."""
        return {"fitted": 0.05, "placed": 0.45, FRAMES: 0.5} if self._fixing else {"fitted": 0.15, FRAMES: 0.85}

    def whole(self, step: str) -> Arrays:
        """Do a step that takes the whole clip."""
        return {"identity": self._identity, "decided": self._decide, MOTION: self._move, STATIC: self._static}[step]()

    def chunk(self, step: str, start: int) -> Arrays:
        """Do a step for the chunk that begins at a position."""
        if step == "fitted":
            rows, width = rows_of(self.folder, start), self.camera.image_size[0]
            return {name: values for side in SIDES for name, values in lifted(rows, side, self._bodies, width).items()}
        if step == "placed":
            moments = Moments(self.folder, self.times, self._builder, self.folder.load("decided"), MIDDLE)
            return self._fixer.moves(moments.frames(start, moments.said(start)), self._builder.sides)
        return self.fill_caches(start, self._build(start))

    @property
    def _fixing(self) -> bool:
        return bool(self.settings["fix_contact"])

    @cached_property
    def _bodies(self) -> Bodies:
        return Bodies.load(official_models_dir())

    @cached_property
    def _fixer(self) -> Fixer:
        stiff = rigid(self._bodies)
        return Fixer(stiff, softness(official_models_dir(), len(stiff)), self._depths)

    @cached_property
    def _moments(self) -> Moments:
        return Moments(self.folder, self.times, self._builder, self.folder.load(MOTION), self.settings["smoothing"])

    @cached_property
    def _builder(self) -> Builder:
        person, decided = self.folder.load("identity"), self.folder.load("decided")
        order, sides = ([SIDES[index] for index in decided[name]] for name in ("order", "sides"))
        shapes = {side: person[f"{side}_face_shape"] for side in order}
        return Builder(self._bodies, shapes, person["rh_betas"], self.camera, order, sides)

    @cached_property
    def _depths(self) -> Depths:
        faces = self._bodies.flame.faces
        return Depths(faces[:, [0, 2, 1]] if self._builder.order[0] == "left" else faces)  # as `answers` winds them

    def _seen(self, *names: str) -> Arrays:
        """Of all frames, what the detector saw, and what else is named of each side's answers."""
        each = ("seen", "score", "distance", "answered", *names)
        wanted = ["face_seen", "face_score", *(f"{side}_{name}" for side in SIDES for name in each)]
        return self.folder.together("seen", self.count, wanted)

    def _identity(self) -> Arrays:
        seen = self._seen("presence", "face_shape", "rh_betas")
        check_found(seen, self.settings, self.source)
        return acquainted(seen, self.settings)

    def _fits(self) -> Arrays:
        return self.folder.together("fitted", self.count, [f"{side}_{name}" for side in SIDES for name in LIFTED])

    def _decide(self) -> Arrays:
        """Indices of the sides that the result holds and needs, see `cast`, and a movement to fix contact by."""
        seen, fits = self._seen(), self._fits()
        present = there(seen, self.settings)
        sides, order = cast(self.times, seen, fits, present, self.settings["hand"])
        found = moved(self.times, fits, present, order, MIDDLE, self.camera)
        found |= {name: np.array([SIDES.index(side) for side in some], int)
                  for name, some in (("order", order), ("sides", sides))}  # fmt: skip
        return found

    def _move(self) -> Arrays:
        present, builder = there(self._seen(), self.settings), self._builder
        smoothing = self.settings["smoothing"]
        found = moved(self.times, self._fits(), present, builder.order, smoothing, self.camera)
        if self._fixing:
            names = [f"{side}_fix_{name}" for side in builder.sides for name in ("shift", "turn")]
            moves = self.folder.together("placed", self.count, names)
            found |= smooth_moves(self.times, moves, builder.sides, smoothing)
        return found

    def _static(self) -> Arrays:
        """What holds for all frames; makes room for the caches, too."""
        builder = self._builder
        head, hands = builder.at_rest(self._moments.parts(slice(1)))
        found: Arrays = {"image_size": np.array(self.camera.image_size, np.int32),
                         "camera_model": np.array("orthographic"), "camera_matrix": np.asarray(self.camera.matrix),
                         "params_crop": UNMOVED}  # fmt: skip
        parts: dict[str, Head | Hand] = {"head": head} | {f"hand_{hand.side}": hand for hand in hands}
        for name, part in parts.items():
            assert part.skeleton is not None
            found |= part_arrays(name, part.faces, part.skeleton)
        for side in builder.order:
            found[f"params_{side}_face_shape"] = builder.shapes[side].astype(np.float32)
            found[f"params_{side}_rh_betas"] = builder.betas.astype(np.float32)
        self.make_room(found)
        return found

    def _build(self, start: int) -> Arrays:
        said, rows = self._moments.said(start), []
        for moment in self._moments.frames(start, said):
            fixed = self._fixer(moment) if self._fixing else moment
            rows.append(frame_arrays(fixed) | self._depths(fixed))
        frames = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
        for side, answer in said.items():
            frames |= {f"params_{side}_{name}": getattr(answer, name).astype(np.float32) for name in PARAMETERS}
        return frames | judged(rows_of(self.folder, start), frames, self._builder.sides)

    def notes(self) -> tuple[str, ...]:
        """See `Steps`."""
        off = self.folder.together(FRAMES, self.count, ["quality_face_error"])["quality_face_error"]
        if not np.isfinite(off).any() or np.nanmedian(off) < FAR_OFF:
            return ()
        return (
            f"In most frames the head lies {FAR_OFF:.0f} % of its width or more beside the face: do not trust this "
            "result. Do all files come from their official pages, and do the pictures show the head and the hand?",
        )

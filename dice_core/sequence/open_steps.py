# SPDX-License-Identifier: GPL-3.0-or-later
"""The open engine's steps from what was seen to a result: some take the clip as a whole, some a chunk of frames."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..body.openbody import hand_model
from ..body.openbones import hand_skeleton, head_skeleton
from ..types import SIDES, Side
from .base import FRAMES, MOTION, STATIC, InFolder, part_arrays
from .folder import CHUNK, Arrays
from .looking import rows_of
from .open_build import built
from .open_eyes import check_found, nothing
from .open_fit import fitted
from .open_motion import moved
from .open_touch import decided, placed
from .person import Person, acquainted, portraits

LOOKS = ("looks", "before", "gap", "costs")


class OpenSteps(InFolder):
    """See `Steps`."""

    order = ("identity", "fitted", "decided", "placed", MOTION, STATIC, FRAMES)
    by_chunk = {"fitted": 0.31, "placed": 0.31, FRAMES: 0.38}  # and the share of the time that they take
    depend_on_smoothing = (MOTION, STATIC, FRAMES)

    @cached_property
    def person(self) -> Person:
        """Who is in the sequence."""
        found = self.folder.load("identity")
        return Person(found["head_identity"], {side: found[f"hand_{side}_betas"] for side in SIDES}, self.camera)

    @cached_property
    def _motion(self) -> Arrays:
        return self.folder.load(MOTION)

    @cached_property
    def _decisions(self) -> Arrays:
        return self.folder.load("decided")

    @cached_property
    def sides(self) -> list[Side]:
        """Of the hands that the result holds: those that ever touch, or else the one that is seen most; or those that
        were asked for."""
        seen = {side: self._motion[f"{side}_seen"].sum() for side in SIDES}
        there: list[Side] = [side for side in SIDES if seen[side]]
        if self.settings["hand"] != "auto":
            return there
        touching = [side for side in there if self._decisions[f"{side}_touching"].any()]
        return touching or sorted(there, key=lambda side: -seen[side])[:1]

    def whole(self, step: str) -> Arrays:
        """Do a step that takes the whole clip."""
        return {"identity": self._identity, "decided": self._decide, MOTION: self._move, STATIC: self._static}[step]()

    def chunk(self, step: str, start: int) -> Arrays:
        """Do a step for the chunk that begins at a position."""
        if step == "fitted":
            return fitted(rows_of(self.folder, start), self.person, self.rate, start)
        chunk = slice(start, start + CHUNK)
        if step == "placed":
            rows, fits = rows_of(self.folder, start), self.folder.load("fitted", start)
            return placed(rows, fits, {key: values[chunk] for key, values in self._decisions.items()}, self.person)
        frames = range(start, min(start + CHUNK, self.count))
        return self.fill_caches(start, built(self._motion, frames, self.person, self.sides) | self._judged(start))

    def _identity(self) -> Arrays:
        names = ["face_covered", *(f"{name}_{key}" for name in ("face", *SIDES) for key in ("seen", "score")),
                 *(f"{side}_glance_touch" for side in SIDES)]  # fmt: skip
        seen = self.folder.together("seen", self.count, names)
        check_found(seen, self.source, self.settings["face"])
        rows = []
        for position in portraits(seen):
            chunk = rows_of(self.folder, position - position % CHUNK)
            rows.append({key: values[position % CHUNK] for key, values in chunk.items()})
        return acquainted(rows, self.camera)

    def _decide(self) -> Arrays:
        fits = self.folder.together("fitted", self.count, [f"{side}_{key}" for side in SIDES for key in LOOKS])
        parts = self.folder.together("seen", self.count, [f"{side}_glance_parts" for side in SIDES])
        return decided(fits, parts, self.times, self.person.betas)

    def _move(self) -> Arrays:
        names = [f"{side}_parameters" for side in SIDES]
        fits = self.folder.together("fitted", self.count, ["head_pose", *names])
        skin = self.folder.together("placed", self.count, names)
        found = moved(self.times, fits, self._decisions, skin, self.settings["smoothing"])
        if not any(found[f"{name}_seen"].any() for name in ("head", *SIDES)):
            raise nothing(self.source, self.settings["face"])
        return found

    def _static(self) -> Arrays:
        """What holds for all frames; makes room for the caches, too."""
        person = self.person
        found: Arrays = {
            "image_size": np.array(self.camera.image_size, np.int32), "camera_model": np.array("perspective"),
            "camera_matrix": np.asarray(self.camera.matrix),
        }  # fmt: skip
        if self._motion["head_seen"].any():
            bones = head_skeleton(person.identity, np.zeros(3), np.zeros(3))
            found |= part_arrays("head", person.model.faces, bones)
            found["params_head_identity"] = person.identity.astype(np.float32)
        for side in self.sides:
            model, x = hand_model(side), self._motion[f"{side}_parameters"][0]
            found |= part_arrays(f"hand_{side}", model.faces, hand_skeleton(model, x))
            found[f"params_hand_{side}_betas"] = person.betas[side].astype(np.float32)
        self.make_room(found)
        return found

    def _judged(self, start: int) -> Arrays:
        """How much can be believed of each frame."""
        seen, fits = rows_of(self.folder, start), self.folder.load("fitted", start)
        names = {"head": "face"} | {f"hand_{side}": side for side in self.sides}
        found = {f"{part}_confidence": seen[f"{name}_score"] * seen[f"{name}_seen"] for part, name in names.items()}
        found |= {f"quality_hand_{side}_error": fits[f"{side}_error"].astype(np.float32) for side in self.sides}
        return found | {"quality_face_error": fits["head_error"].astype(np.float32)}

# SPDX-License-Identifier: GPL-3.0-or-later
"""Write trained networks as the file that the engine reads: `python -m tools.learn.export --model A.pt B.pt C.pt`.

All of them judge, which is less a matter of luck than what one says; how the hand is held is told by the first. The
half that was kept back says how far they are to be trusted together.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from dice_core.fit.glance import ASSET, JUDGED, JUDGES

from .bank import FOLDER
from .data import load, prepared
from .net import Net
from .train import answers_of, calibrated, report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, nargs=JUDGES, default=[FOLDER / f"model{n}.pt" for n in range(JUDGES)])
    parser.add_argument("--data", type=Path, default=FOLDER / "data")
    parser.add_argument("--out", type=Path, default=ASSET)
    options = parser.parse_args()
    states = [torch.load(path, weights_only=True)["model"] for path in options.model]  # noqa: TID251 (our own files)
    rows = load(options.data, "check")
    truth = prepared(rows, both=False)
    said = []
    for state in states:
        model = Net()
        model.load_state_dict(state)
        said.append(answers_of(model, rows, truth))
    answers = said[0]
    answers[:, :JUDGED] = np.mean(said, axis=0)[:, :JUDGED]
    calibration = calibrated(answers, truth)
    report(answers, truth, calibration)
    data = {key.removeprefix("standard."): value for key, value in states[0].items() if not key.startswith("judge.")}
    for number, state in enumerate(states):
        for key, value in state.items():
            if key.startswith("judge."):  # those of its answers that are not judged only helped it to learn
                data[key.replace("judge", f"judge{number}")] = value[:JUDGED] if key.startswith("judge.out") else value
    arrays = {key: value.numpy().astype(np.float16) for key, value in data.items()}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.out, **arrays, calibration=np.float32(calibration))
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()

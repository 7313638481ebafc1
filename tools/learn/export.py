# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the trained network as the file that the engine reads: `python -m tools.learn.export`."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from dice_core.fit.glance import ASSET

from .bank import FOLDER


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, default=FOLDER / "model.pt")
    parser.add_argument("--out", type=Path, default=ASSET)
    options = parser.parse_args()
    saved = torch.load(options.model, weights_only=True)  # noqa: TID251 (our own file)
    data = {key.removeprefix("standard."): value.numpy().astype(np.float16) for key, value in saved["model"].items()}
    data["calibration"] = saved["calibration"].numpy().astype(np.float32)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(options.out, **data)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()

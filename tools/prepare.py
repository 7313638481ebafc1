# SPDX-License-Identifier: GPL-3.0-or-later
"""What `make demo` needs, in DICE_RUNTIME: the runtime and Blender's Python module, without the tests' tools."""

from __future__ import annotations

import sys

from dice_core import paths, runtime
from install_deps import guarded, say

if __name__ == "__main__":
    request = runtime.Request(paths.runtime_dir(), blender=True)
    sys.exit(guarded(lambda: runtime.install(request, say)))

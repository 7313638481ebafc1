# SPDX-License-Identifier: GPL-3.0-or-later
"""Hand and face capture from a picture: frames in, posed meshes with contact and deformation out.

Importing this package needs numpy only; every heavy library is imported by the stage that uses it.
"""

__version__ = "0.1.0"

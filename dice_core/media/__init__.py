# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures and movies to frames."""

KINDS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff", ".bmp")  # of pictures

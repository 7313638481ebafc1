# SPDX-License-Identifier: GPL-3.0-or-later
"""What the developer scripts share to paint and draw the open head."""

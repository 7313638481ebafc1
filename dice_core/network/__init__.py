# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of the DICE paper: official weights in, posed hand and head with contact and deformation out."""

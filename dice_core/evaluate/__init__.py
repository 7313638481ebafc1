# SPDX-License-Identifier: GPL-3.0-or-later
"""How good results are: errors against the truth, and plausibility."""

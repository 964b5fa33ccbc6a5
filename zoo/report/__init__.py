"""Reports on finished runs: `content.py` is all that one says, `writers/` spell it, `side_by_side.py` makes one.

Their figures are drawn in `figures/` (functions on arrays) and found in runs by `gallery/` (by name, for `zoo plot`).
"""

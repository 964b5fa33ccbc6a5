"""TensorBoard with defaults for runs of the zoo: all runs selected, nothing clipped, nothing smoothed, few columns.

Its older pages (Scalars, Images, Histograms, Custom Scalars) select nothing where there are more than forty runs, and
all charts leave out the outer twentieth of the values: among fifty runs, the two that collapsed. No event file and no
option of TensorBoard's changes that, but its pages are files of ours to serve.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import IO

# In its program, each with how often it stands there: runs selected at first (now as many as on its Time Series page),
# smoothing (a smoothed count is none), and hyperparameters that the HParams page opens on (method and β).
_CHANGES = (
    (b"maxNamesToEnableByDefault=40,", b"maxNamesToEnableByDefault=500,", 1),
    (b'"_smoothingWeight",{defaultValue:.6}', b'"_smoothingWeight",{defaultValue:0}', 4),
    (b"=Math.min(5,t.length);for(let i=0;i<n;i++)t[i].disp", b"=Math.min(2,t.length);for(let i=0;i<n;i++)t[i].disp", 1),
)
# Where its page loads the program; under another address, for browsers keep TensorBoard's own for a day.
_LOADED, _LOADED_ANEW = b"index.js?", b"index.js?zoo&"
# A user's own choice, which the browser keeps, goes before.
_SCRIPT = b"""for (const [key, value] of Object.entries({
  "_tb_global_settings": '{"ignoreOutliers":false,"scalarSmoothing":0,"timeSeriesSettingsPaneOpened":false}',
  "_ignoreYOutliers": "false",
})) if (localStorage.getItem(key) === null) localStorage.setItem(key, value);
"""


def webfiles(original: Callable[[], IO[bytes]]) -> Callable[[], IO[bytes]]:
    """TensorBoard's pages with our defaults.

    Args:
        original: opens the archive of TensorBoard's own.

    Raises:
        ValueError: pages of a version of TensorBoard that has none of what is to be changed.
    """
    changed = io.BytesIO()
    with original() as file, zipfile.ZipFile(file) as pages, zipfile.ZipFile(changed, "w") as ours:
        contents = {name: pages.read(name) for name in pages.namelist()}
        index, script = (contents.get(name, b"") for name in ("index.html", "index.js"))
        if _LOADED not in index or b"<head>" not in index or any(script.count(old) != n for old, _, n in _CHANGES):
            raise ValueError("tensorboard: its pages are not those that the zoo knows; run: tensorboard --logdir …")
        for old, new, _ in _CHANGES:
            script = script.replace(old, new)
        index = index.replace(_LOADED, _LOADED_ANEW, 1)
        contents["index.js"] = script
        contents["index.html"] = index.replace(b"<head>", b'<head><script src="zoo.js"></script>', 1)
        contents["zoo.js"] = _SCRIPT
        for name, content in contents.items():
            ours.writestr(name, content)
    return lambda: io.BytesIO(changed.getvalue())


def serve(folder: Path, host: str, port: int) -> int:
    """Shows the runs below a folder until it is interrupted.

    Args:
        folder: of runs, or a run.
        host: the address to listen at.
        port: to listen at; 0 for any that is free.

    Returns:
        TensorBoard's exit code; it has said itself what was wrong, such as a port that is taken.

    Raises:
        ValueError: no such folder, or as `webfiles`.
    """
    if not folder.is_dir():
        raise ValueError(f"tensorboard: no such folder {folder}")
    from tensorboard import assets, default, program

    provider = assets.get_default_assets_zip_provider()
    board = program.TensorBoard([*default.get_plugins()], provider and webfiles(provider))
    board.configure([None, "--logdir", str(folder), "--host", host, "--port", str(port)])
    return board.main()

"""TensorBoard with defaults for runs of the zoo: all runs selected, nothing clipped, nothing smoothed.

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

# As many as its Time Series page selects.
SELECTED = 500
_FEW, _MANY = b"maxNamesToEnableByDefault=40,", f"maxNamesToEnableByDefault={SELECTED},".encode()
# A user's own choice, which the browser keeps, goes before.
_LOADED, _LOADED_ANEW = b"index.js?", b"index.js?zoo&"
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
        if script.count(_FEW) != 1 or b"<head>" not in index or _LOADED not in index:
            raise ValueError("tensorboard: its pages are not those that the zoo knows; run: tensorboard --logdir …")
        contents["index.js"] = script.replace(_FEW, _MANY)
        # Under another address, for browsers keep TensorBoard's own for a day.
        index = index.replace(_LOADED, _LOADED_ANEW, 1)
        contents["index.html"] = index.replace(b"<head>", b'<head><script src="zoo.js"></script>', 1)
        contents["zoo.js"] = _SCRIPT
        for name, content in contents.items():
            ours.writestr(name, content)
    return lambda: io.BytesIO(changed.getvalue())


def serve(folder: Path, host: str, port: int) -> None:
    """Shows the runs below a folder until it is interrupted.

    Args:
        folder: of runs, or a run.
        host: the address to listen at.
        port: to listen at; 0 for any that is free.

    Raises:
        ValueError: no such folder, or as `webfiles`.
    """
    if not folder.is_dir():
        raise ValueError(f"tensorboard: no such folder {folder}")
    from tensorboard import assets, default, program

    provider = assets.get_default_assets_zip_provider()
    board = program.TensorBoard([*default.get_plugins()], provider and webfiles(provider))
    board.configure([None, "--logdir", str(folder), "--host", host, "--port", str(port)])
    board.main()

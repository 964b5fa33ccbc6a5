"""Exports on the Hugging Face hub, or on a server that speaks as it does (the variable HF_ENDPOINT)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

SCHEME = "hf://"
_ADDRESS = re.compile(r"hf://(?P<repo>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
INSTALL = "pip install 'vae-zoo[hub]'"


def fetch(address: str) -> Path:
    """The folder of an export on the hub, which huggingface_hub keeps: what is there already is not fetched again.

    Args:
        address: `hf://owner/name`, with `@revision` behind it for another than the main one.

    Raises:
        ValueError: no such address, without the package huggingface_hub, or without the network; in one line.
    """
    repo, revision = _parts(address)
    package = _package(address)
    try:
        return Path(package.snapshot_download(repo, revision=revision))
    except Exception as error:  # Its own, those of HTTP, and those of the network.
        raise ValueError(f"{address}: cannot be fetched: {_reason(error)}") from None


def push(folder: Path, address: str, *, private: bool = False) -> str:
    """Puts an export on the hub, in one commit; the repository is made where there is none.

    Args:
        folder: of the export; its checksum is the caller's to check.
        address: `hf://owner/name`.
        private: make the repository private.

    Returns:
        The address of the commit.

    Raises:
        ValueError: as `fetch`.
    """
    repo, revision = _parts(address)
    package = _package(address)
    try:
        package.create_repo(repo, private=private, exist_ok=True)
        done = package.upload_folder(
            repo_id=repo, folder_path=str(folder), revision=revision, commit_message=f"{folder.name}: export of the zoo"
        )
    except Exception as error:
        raise ValueError(f"{address}: cannot be put there: {_reason(error)}") from None
    return str(done.commit_url)


def _parts(address: str) -> tuple[str, str | None]:
    found = _ADDRESS.fullmatch(address)
    if not found:
        raise ValueError(f"{address}: must be hf://owner/name, or hf://owner/name@revision")
    return found["repo"], found["revision"]


def _package(address: str) -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise ValueError(f"{address}: needs the package huggingface_hub; {INSTALL}") from None
    return huggingface_hub


def _reason(error: Exception) -> str:
    """The first line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__

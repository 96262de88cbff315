"""Carry a saved edited model to the Hugging Face hub and back."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

from memedit.errors import CheckpointError
from memedit.saving.layout import Parts
from memedit.saving.writing import save


def push(
    parts: Parts,
    repo_id: str,
    *,
    private: bool | None = None,
    history: bool = False,
    commit_message: str = "Upload edited model",
    token: str | None = None,
    api: Any = None,
) -> str:
    """Save into a repository of the hub, which is made if it does not exist.

    Args:
        parts: What to save.
        repo_id: Such as `organisation/name`.
        private: Whether a new repository is private; None for the account's default.
        history: Whether removed edits and former states are published as well.
        commit_message: Title of the commit.
        token: Access token; None for the one that is logged in.
        api: Something with the methods `create_repo` and `upload_folder` of `HfApi`; None for the hub.

    Returns:
        The address of the commit.

    Raises:
        CheckpointError: As for `save`.
    """
    api = HfApi(token=token) if api is None else api
    with TemporaryDirectory() as folder:
        save(parts, Path(folder), history=history)
        api.create_repo(repo_id, private=private, exist_ok=True)
        commit = api.upload_folder(repo_id=repo_id, folder_path=folder, commit_message=commit_message)
    return str(getattr(commit, "commit_url", commit))


def fetched(name: str | Path) -> Path:
    """The folder that is meant by a path or a hub id.

    Raises:
        CheckpointError: There is neither such a folder nor such a repository.
    """
    if Path(name).is_dir():
        return Path(name)
    try:
        return Path(snapshot_download(str(name)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise CheckpointError(
            f"expected an edited model (a folder or a hub id), got {str(name)!r}: {str(error).strip().splitlines()[0]}"
        ) from None

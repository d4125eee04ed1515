"""Read the Python files of one folder of a Git repository over HTTP, as the records of a source.

This source runs in the sandbox, so the limits of the sandbox apply to hostile servers and repositories. Nothing
is checked out, so file names and links in a repository are only text here.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from dulwich.client import HttpGitClient, HTTPUnauthorized
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository
from dulwich.objects import Blob, Commit, ObjectID, Tree, TreeEntry
from dulwich.refs import Ref
from dulwich.repo import MemoryRepo

from drover._failures import (
    AuthenticationError,
    ConfigurationError,
    EgressRefused,
    SourceFailure,
    innermost_cause,
)
from drover._source import Page, Source

MAX_FILES = 200
MAX_FILE_BYTES = 512 * 1024  # bytes per file
# Do not fetch larger files. A server that does not support this filter sends all files.
_NO_LARGE_FILES = b"blob:limit=%d" % (MAX_FILE_BYTES + 1)
MAX_TEXT_LENGTH = 200  # characters of a commit's author, and of its subject
Row = dict[str, Any]


class Repository(Source):
    """A source with the stream `files`. A record is `{path, text}`, or `{path, problem}` for an unusable file.

    The state describes the commit.
    """

    streams = ["files"]

    def get(self, pagination: Any = None) -> Page:
        settings = self.config
        repository = MemoryRepo()
        commit = repository[self._fetch(repository, settings.branch)]
        if not isinstance(commit, Commit):
            raise ConfigurationError(f"The branch {settings.branch} does not lead to a commit.")
        rows = list(_file_rows(repository, commit.tree, settings.path))
        return Page(rows, None, _commit_state(commit))

    def _fetch(self, repository: MemoryRepo, branch: str) -> ObjectID:
        """Fetch the newest commit of the branch into `repository`, and return the id of the commit."""
        settings = self.config
        client = HttpGitClient(
            settings.url,
            username=settings.username or None,
            password=settings.token or None,
            timeout=60,
        )
        chosen_ids: list[ObjectID] = []

        def choose_newest_commit(
            refs: Mapping[Ref, ObjectID], depth: int | None = None
        ) -> list[ObjectID]:
            chosen_ids.append(_newest_commit_id(refs, branch))
            return chosen_ids

        try:
            client.fetch("", repository, choose_newest_commit, depth=1, filter_spec=_NO_LARGE_FILES)
        except NotGitRepository as error:
            message = "There is no Git repository at this URL, or the token may not read it."
            raise ConfigurationError(message) from error
        except HTTPUnauthorized as error:
            message = "The repository requires a token, or rejected this one."
            raise AuthenticationError(message) from error
        except (GitProtocolError, HangupException) as error:
            raise _source_failure(error) from error
        return chosen_ids[0]


def _source_failure(error: Exception) -> SourceFailure:
    cause = innermost_cause(error) or error
    reason = " ".join(str(cause).split()).removeprefix("[Errno 111] ") or type(cause).__name__
    if isinstance(cause, EgressRefused):
        return ConfigurationError(f"The connection to {reason}.")
    if "http resp 403" in reason:  # dulwich's message
        return AuthenticationError("The token may not read this repository.")
    return SourceFailure(f"The repository could not be read: {reason}")


def _newest_commit_id(refs: Mapping[Ref, ObjectID], branch: str) -> ObjectID:
    prefix = b"refs/heads/"
    commit_id = refs.get(Ref(prefix + branch.encode()))
    if commit_id is not None:
        return commit_id
    names = sorted(name.removeprefix(prefix) for name in refs if name.startswith(prefix))
    branches = b", ".join(names[:10]).decode("utf-8", "replace") or "none"
    raise ConfigurationError(f"The repository has no branch {branch}; it has {branches}.")


def _file_rows(repository: MemoryRepo, tree_id: bytes, path: str) -> Iterator[Row]:
    """Yield the records of the Python files in the folder, or the record of the one file at the path.

    Files in the folder whose names begin with `_`, `.` or `test_` are skipped.
    """
    entry = _find_entry(repository, tree_id, path)
    if entry is not None and not stat.S_ISDIR(entry.mode or 0):
        yield _file_row(repository, path, entry)
        return
    folder = repository[entry.sha if entry is not None else tree_id]
    if not isinstance(folder, Tree):
        raise ConfigurationError(f"{path} is not a folder.")
    entries = [file_entry for file_entry in folder.iteritems() if _is_source_file(file_entry.path)]
    if len(entries) > MAX_FILES:
        raise ConfigurationError(
            f"The folder has {len(entries):,} Python files; at most {MAX_FILES} are allowed."
        )
    for file_entry in entries:
        name = file_entry.path.decode("utf-8", "replace")
        file_path = f"{path}/{name}" if path else name
        if "/" in name:  # git cannot check out such a name.
            yield {"path": file_path, "problem": "Its name is not a valid file name."}
        else:
            yield _file_row(repository, file_path, file_entry)


def _find_entry(repository: MemoryRepo, tree_id: bytes, path: str) -> TreeEntry | None:
    """Return the tree entry at the path, or None for the root. Links and submodules are not followed."""
    entry: TreeEntry | None = None
    object_id = tree_id
    for part in path.split("/") if path else ():
        tree = repository[object_id]
        entries = (
            {tree_entry.path: tree_entry for tree_entry in tree.iteritems()}
            if isinstance(tree, Tree)
            else {}
        )
        entry = entries.get(part.encode())
        if entry is None or entry.sha is None:
            raise ConfigurationError(f"The branch has no folder or file {path}.")
        object_id = entry.sha
        if stat.S_ISLNK(entry.mode or 0) or (entry.mode or 0) == _SUBMODULE_MODE:
            raise ConfigurationError(
                f"{path} leads through a symbolic link or a submodule. Use a path without them."
            )
    return entry


_SUBMODULE_MODE = 0o160000


def _is_source_file(name: bytes) -> bool:
    return name.endswith(b".py") and not name.startswith((b"_", b".", b"test_"))


def _file_row(repository: MemoryRepo, path: str, entry: TreeEntry) -> Row:
    mode = entry.mode or 0
    if stat.S_ISLNK(mode):
        return {"path": path, "problem": "It is a symbolic link, which is not followed."}
    if not stat.S_ISREG(mode) or entry.sha is None:
        return {"path": path, "problem": "It is not a file."}
    is_stored = entry.sha in repository.object_store
    blob = repository.object_store[entry.sha] if is_stored else None
    if blob is not None and not isinstance(blob, Blob):
        return {"path": path, "problem": "It is not a file."}
    data = blob.as_raw_string() if blob is not None else None
    if data is None or len(data) > MAX_FILE_BYTES:
        return {"path": path, "problem": f"It is larger than {MAX_FILE_BYTES:,} bytes."}
    try:
        return {"path": path, "text": data.decode("utf-8-sig")}
    except UnicodeDecodeError:
        return {"path": path, "problem": "It is not UTF-8 text."}


def _commit_state(commit: Commit) -> Row:
    author = commit.author.decode("utf-8", "replace")
    subject = commit.message.decode("utf-8", "replace").strip().partition("\n")[0]
    return {
        "commit": commit.id.decode(),
        "author": author.partition(" <")[0][:MAX_TEXT_LENGTH] or author[:MAX_TEXT_LENGTH],
        "subject": subject[:MAX_TEXT_LENGTH],
        "committed_at": datetime.fromtimestamp(commit.commit_time, UTC).isoformat(),
    }

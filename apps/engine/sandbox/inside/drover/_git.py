"""Read the Python files of one folder of a Git repository, over HTTP, as the records of a source.

It runs in the sandbox like any source, so its limits apply to hostile servers and repositories. Nothing is
checked out, so file names and links in a repository are only text here.
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
    refusal,
)
from drover._source import Page, Source

MAX_FILES = 200
MAX_BYTES = 512 * 1024  # bytes per file
# fetch only the newest commit; servers that cannot do this send all commits
_NO_LARGE_FILES = b"blob:limit=%d" % (MAX_BYTES + 1)
SUBJECT = 200  # characters of a commit's first line
Row = dict[str, Any]


class Repository(Source):
    """The stream `files`: `{path, text}`, or `{path, problem}` for a file that cannot be used. The state has the
    commit.
    """

    streams = ["files"]

    def get(self, pagination: Any = None) -> Page:
        settings = self.config
        repository = MemoryRepo()
        commit = repository[self._fetch(repository, settings.branch)]
        if not isinstance(commit, Commit):
            raise ConfigurationError(f"The branch {settings.branch} does not lead to a commit.")
        rows = list(_files(repository, commit.tree, settings.path))
        return Page(rows, None, _described(commit))

    def _fetch(self, repository: MemoryRepo, branch: str) -> ObjectID:
        """Fetch the branch's newest commit into `repository` and return its id."""
        settings = self.config
        client = HttpGitClient(
            settings.url,
            username=settings.username or None,
            password=settings.token or None,
            timeout=60,
        )
        wanted: list[ObjectID] = []

        def choose(refs: Mapping[Ref, ObjectID], depth: int | None = None) -> list[ObjectID]:
            wanted.append(_tip(refs, branch))
            return wanted

        try:
            client.fetch("", repository, choose, depth=1, filter_spec=_NO_LARGE_FILES)
        except NotGitRepository as error:
            message = "There is no Git repository at this URL, or the token may not read it."
            raise ConfigurationError(message) from error
        except HTTPUnauthorized as error:
            message = "The repository requires a token, or rejected this one."
            raise AuthenticationError(message) from error
        except (GitProtocolError, HangupException) as error:
            raise _failed(error) from error
        return wanted[0]


def _failed(error: Exception) -> SourceFailure:
    cause = refusal(error) or error
    why = " ".join(str(cause).split()).removeprefix("[Errno 111] ") or type(cause).__name__
    if isinstance(cause, EgressRefused):
        return ConfigurationError(f"The connection to {why}.")
    if "http resp 403" in why:  # dulwich's message
        return AuthenticationError("The token may not read this repository.")
    return SourceFailure(f"The repository could not be read: {why}")


def _tip(refs: Mapping[Ref, ObjectID], branch: str) -> ObjectID:
    prefix = b"refs/heads/"
    found = refs.get(Ref(prefix + branch.encode()))
    if found is not None:
        return found
    names = sorted(name.removeprefix(prefix) for name in refs if name.startswith(prefix))
    listed = b", ".join(names[:10]).decode("utf-8", "replace") or "none"
    raise ConfigurationError(f"The repository has no branch {branch}; it has {listed}.")


def _files(repository: MemoryRepo, tree_id: bytes, path: str) -> Iterator[Row]:
    """Return the Python files of the folder, or the one file of the path; names beginning with _ or test_ are
    skipped.
    """
    entry = _entry(repository, tree_id, path)
    if entry is not None and not stat.S_ISDIR(entry.mode or 0):
        yield _row(repository, path, entry)
        return
    folder = repository[entry.sha if entry is not None else tree_id]
    if not isinstance(folder, Tree):
        raise ConfigurationError(f"{path} is not a folder.")
    entries = [one for one in folder.iteritems() if _is_source(one.path)]
    if len(entries) > MAX_FILES:
        raise ConfigurationError(
            f"The folder has {len(entries):,} Python files; {MAX_FILES} may be read."
        )
    for one in entries:
        name = one.path.decode("utf-8", "replace")
        here = f"{path}/{name}" if path else name
        if "/" in name:  # git would refuse to check it out.
            yield {"path": here, "problem": "Its name is not a valid file name."}
        else:
            yield _row(repository, here, one)


def _entry(repository: MemoryRepo, tree_id: bytes, path: str) -> TreeEntry | None:
    """Return the tree entry at the path, None for the root. Only real folders are traversed."""
    entry: TreeEntry | None = None
    here = tree_id
    for part in path.split("/") if path else ():
        tree = repository[here]
        found = {one.path: one for one in tree.iteritems()} if isinstance(tree, Tree) else {}
        entry = found.get(part.encode())
        if entry is None or entry.sha is None:
            raise ConfigurationError(f"The branch has no folder or file {path}.")
        here = entry.sha
        if stat.S_ISLNK(entry.mode or 0) or (entry.mode or 0) == _SUBMODULE:
            raise ConfigurationError(
                f"{path} leads through a symbolic link; use the path of the target."
            )
    return entry


_SUBMODULE = 0o160000


def _is_source(name: bytes) -> bool:
    return name.endswith(b".py") and not name.startswith((b"_", b".", b"test_"))


def _row(repository: MemoryRepo, path: str, entry: TreeEntry) -> Row:
    mode = entry.mode or 0
    if stat.S_ISLNK(mode):
        return {"path": path, "problem": "It is a symbolic link, which is not followed."}
    if not stat.S_ISREG(mode) or entry.sha is None:
        return {"path": path, "problem": "It is not a file."}
    here = entry.sha in repository.object_store
    blob = repository.object_store[entry.sha] if here else None
    if blob is not None and not isinstance(blob, Blob):
        return {"path": path, "problem": "It is not a file."}
    data = blob.as_raw_string() if blob is not None else None
    if data is None or len(data) > MAX_BYTES:
        return {"path": path, "problem": f"It is larger than {MAX_BYTES:,} bytes."}
    try:
        return {"path": path, "text": data.decode("utf-8-sig")}
    except UnicodeDecodeError:
        return {"path": path, "problem": "It is not UTF-8 text."}


def _described(commit: Commit) -> Row:
    author = commit.author.decode("utf-8", "replace")
    subject = commit.message.decode("utf-8", "replace").strip().partition("\n")[0]
    return {
        "commit": commit.id.decode(),
        "author": author.partition(" <")[0][:SUBJECT] or author[:SUBJECT],
        "subject": subject[:SUBJECT],
        "committed_at": datetime.fromtimestamp(commit.commit_time, UTC).isoformat(),
    }

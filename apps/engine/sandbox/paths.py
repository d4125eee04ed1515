"""The files of this machine that a sandboxed Python needs."""

from __future__ import annotations

import compileall
import importlib.metadata
import os
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

LIBRARY = Path(__file__).parent / "inside"  # the package `drover` for authors
# Packages that custom sources and transforms can import, with their dependencies.
DISTRIBUTIONS = (
    "requests",
    "httpx",
    "pydantic",
    "orjson",
    "python-dateutil",
    "pytz",
    "pendulum",
    "bizon",
    "loguru",
    "polars",
)
NEEDED_BY_THEM = (
    *("annotated-types", "anyio", "backoff", "certifi", "charset-normalizer", "dpath", "dulwich"),
    "h11",
    *("httpcore", "idna", "polars-runtime-32", "pydantic-core", "pydantic-extra-types", "six"),
    *("sniffio", "typing-extensions", "typing-inspection", "tzdata", "urllib3", "exceptiongroup"),
)
SYSTEM = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache", "/usr/share/zoneinfo")
DEVICES = ("/dev/null", "/dev/urandom", "/dev/zero")
UNUSED_STDLIB = frozenset(
    {"ensurepip", "idlelib", "lib2to3", "site-packages", "test", "tkinter", "turtledemo"}
)


@dataclass(frozen=True, slots=True)
class Readable:
    """Where Python is installed. `packages` are top-level files and folders below `sites`."""

    python: str  # the executable, outside any virtual environment
    stdlib: tuple[str, ...]
    linked: tuple[str, ...]  # Python's shared library, if it is built with one
    sites: tuple[str, ...]
    packages: tuple[str, ...]
    modules: tuple[str, ...]  # names that can be imported, besides the standard library
    certificates: str

    @property
    def files(self) -> tuple[str, ...]:
        """Return all files of Python, as folders and files."""
        return (*self.stdlib, *self.linked, *self.packages, str(LIBRARY))


@lru_cache(maxsize=1)
def readable() -> Readable:
    """Find the files; cached per process."""
    import certifi

    _compile_library()
    packages = sorted({str(path) for path in _packages()})
    names = {Path(path).name.partition(".")[0] for path in packages if "-info" not in path}
    return Readable(
        python=_python(),
        stdlib=tuple(_stdlib()),
        linked=tuple(_linked()),
        sites=tuple(dict.fromkeys(str(Path(path).parent) for path in packages)),
        packages=tuple(packages),
        modules=tuple(sorted(name for name in names if name.isidentifier())),
        certificates=certifi.where(),
    )


def _compile_library() -> None:
    """Compile the standard library once: a sandboxed Python cannot write there, and would compile it at each start."""
    if not sys.dont_write_bytecode:
        compileall.compile_dir(LIBRARY, quiet=2)


def _python() -> str:
    base = getattr(sys, "_base_executable", sys.executable)
    return os.path.realpath(base)


def _stdlib() -> list[str]:
    """Return the folder of the standard library, and that of its compiled modules if it is elsewhere."""
    library = os.path.realpath(os.path.dirname(os.__file__))
    # A relocated Python still has the path it was built for in its configuration.
    found = next((path for path in sys.path if path.endswith("/lib-dynload")), None)
    compiled = os.path.realpath(found or sysconfig.get_config_var("DESTSHARED") or library)
    return [library] if compiled.startswith(f"{library}/") else [library, compiled]


def _linked() -> list[str]:
    name = sysconfig.get_config_var("INSTSONAME") or ""
    folders = (sysconfig.get_config_var("LIBDIR"), Path(_python()).parents[1] / "lib")
    found = [os.path.join(str(folder), name) for folder in folders if folder and ".so" in name]
    return list(dict.fromkeys(path for path in found if os.path.isfile(path)))


def _packages() -> Iterator[Path]:
    """Return the top-level entries of each installed distribution."""
    for name in (*DISTRIBUTIONS, *NEEDED_BY_THEM):
        try:
            found = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        for top in {file.parts[0] for file in found.files or ()}:
            if top not in {"..", "bin", "__pycache__"}:
                yield Path(str(found.locate_file(top)))

"""Find the files of this machine that Python needs in a sandbox."""

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

from apps.engine import library

LIBRARY = library.LIBRARY  # the folder of the package `drover` for authors
# Packages that custom sources and transforms can import
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
# Packages that DISTRIBUTIONS need
DEPENDENCIES = (
    *("annotated-types", "anyio", "backoff", "certifi", "charset-normalizer", "dpath", "dulwich"),
    "h11",
    *("httpcore", "idna", "polars-runtime-32", "pydantic-core", "pydantic-extra-types", "six"),
    *("sniffio", "typing-extensions", "typing-inspection", "tzdata", "urllib3", "exceptiongroup"),
)
SYSTEM_FILES = (
    "/usr/lib",
    "/usr/lib64",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/usr/share/zoneinfo",
)
DEVICE_FILES = ("/dev/null", "/dev/urandom", "/dev/zero")
UNUSED_STDLIB = frozenset(
    {"ensurepip", "idlelib", "lib2to3", "site-packages", "test", "tkinter", "turtledemo"}
)


@dataclass(frozen=True, slots=True)
class PythonFiles:
    """Where Python and its packages are installed. `packages` are top-level files and folders below `sites`."""

    executable: str  # the base interpreter, outside any virtual environment
    stdlib: tuple[str, ...]
    shared_libraries: tuple[str, ...]  # Python's own shared library, if this Python has one
    sites: tuple[str, ...]
    packages: tuple[str, ...]
    modules: tuple[str, ...]  # names that can be imported, besides the standard library
    certificates: str  # the file of the trusted root certificates

    @property
    def files(self) -> tuple[str, ...]:
        """Return all files and folders of Python and its packages."""
        return (*self.stdlib, *self.shared_libraries, *self.packages, str(LIBRARY))


@lru_cache(maxsize=1)
def find_python_files() -> PythonFiles:
    """Find the files. The result is cached in this process."""
    import certifi

    _compile_library()
    packages = sorted({str(path) for path in _package_paths()})
    names = {Path(path).name.partition(".")[0] for path in packages if "-info" not in path}
    return PythonFiles(
        executable=_python_executable(),
        stdlib=tuple(_stdlib_folders()),
        shared_libraries=tuple(_shared_libraries()),
        sites=tuple(dict.fromkeys(str(Path(path).parent) for path in packages)),
        packages=tuple(packages),
        modules=tuple(sorted(name for name in names if name.isidentifier())),
        certificates=certifi.where(),
    )


def _compile_library() -> None:
    """Compile the package `drover`, because a sandboxed Python cannot store compiled files and would compile it again."""
    if not sys.dont_write_bytecode:
        compileall.compile_dir(LIBRARY, quiet=2)


def _python_executable() -> str:
    executable = getattr(sys, "_base_executable", sys.executable)
    return os.path.realpath(executable)


def _stdlib_folders() -> list[str]:
    """Return the folder of the standard library, and the folder of its compiled modules if that is elsewhere."""
    library = os.path.realpath(os.path.dirname(os.__file__))
    # If Python was moved after its installation, its configuration still names the old path.
    lib_dynload = next((path for path in sys.path if path.endswith("/lib-dynload")), None)
    compiled_modules = os.path.realpath(
        lib_dynload or sysconfig.get_config_var("DESTSHARED") or library
    )
    return [library] if compiled_modules.startswith(f"{library}/") else [library, compiled_modules]


def _shared_libraries() -> list[str]:
    name = sysconfig.get_config_var("INSTSONAME") or ""
    folders = (sysconfig.get_config_var("LIBDIR"), Path(_python_executable()).parents[1] / "lib")
    candidates = [os.path.join(str(folder), name) for folder in folders if folder and ".so" in name]
    return list(dict.fromkeys(path for path in candidates if os.path.isfile(path)))


def _package_paths() -> Iterator[Path]:
    """Yield the top-level files and folders of each installed distribution."""
    for name in (*DISTRIBUTIONS, *DEPENDENCIES):
        try:
            distribution = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        for entry in {file.parts[0] for file in distribution.files or ()}:
            if entry not in {"..", "bin", "__pycache__"}:
                yield Path(str(distribution.locate_file(entry)))

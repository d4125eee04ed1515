"""The modules of the package `drover` that Drover itself uses too, so that both read pages by the same rules.

The sandbox has the folder of the package on its path. Here it is added at the end, where it hides no other package.
"""

import sys

from apps.engine.sandbox.paths import LIBRARY

sys.path.append(str(LIBRARY))

from drover import _failures as failures
from drover import _watermarks as watermarks
from drover._paging import counted, paths, responses, styles, totals, trails, values, walk

__all__ = [
    "counted",
    "failures",
    "paths",
    "responses",
    "styles",
    "totals",
    "trails",
    "values",
    "walk",
    "watermarks",
]

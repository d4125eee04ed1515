"""The modules of the package `drover` that Drover itself uses too, so that both follow the same rules.

The sandbox has the folder of the package on its path. Here it is added at the end, where it hides no other package.
These modules need the standard library only.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent / "sandbox" / "inside"))

from drover import _failures as failures
from drover import _number_times as number_times
from drover import _numbers as numbers
from drover import _texts as texts
from drover import _type_tags as type_tags
from drover import _watermarks as watermarks
from drover._paging import counted, faults, paths, responses, styles, trails, walk

LIBRARY = Path(failures.__file__).parents[1]  # the folder of the package

__all__ = [
    "LIBRARY",
    "counted",
    "failures",
    "faults",
    "number_times",
    "numbers",
    "paths",
    "responses",
    "styles",
    "texts",
    "trails",
    "type_tags",
    "walk",
    "watermarks",
]

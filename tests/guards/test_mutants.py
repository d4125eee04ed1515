"""Each mutant can be made: its text stands once in its file, and the tests that should notice it exist."""

from __future__ import annotations

from tests.guards.source import ROOT
from tests.mutants import MUTANTS


def test_the_text_of_each_mutant_stands_once_in_its_file() -> None:
    unfit = [m.name for m in MUTANTS if (ROOT / m.file).read_text().count(m.old) != 1]
    assert not unfit, f"correct the texts of these mutants in tests/mutants.py: {unfit}"


def test_the_tests_that_should_notice_each_mutant_exist() -> None:
    paths = {
        (mutant.name, part.partition("::")[0])
        for mutant in MUTANTS
        for part in mutant.noticed_by.split()
        if part.startswith("tests/")
    }
    assert paths
    missing = sorted((name, path) for name, path in paths if not (ROOT / path).exists())
    assert not missing, f"correct the tests of these mutants in tests/mutants.py: {missing}"

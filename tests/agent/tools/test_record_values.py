"""The values in messages of PostgreSQL are hidden from the model, in linear time also for a hostile text."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apps.agent.tools.record_values import HIDDEN, hide_values, hide_values_of_keys
from tests.agent.tools.use import context_of
from tests.world import World

# One pattern that says which values are hidden. A text like "(a)=(" * 2_000 keeps it busy for a second.
ONE_PATTERN = re.compile(r"(\([^()]*\)=)\(.*?\)(?=\s|$)")
PARTS = ("(", ")", "=", "(email)=(", "ada", " ", "\n", "\r", "\t", ")=(", "\u2028", "\x0b")


def hide(world: World, text: str) -> str:
    with world.scope():
        return hide_values(context_of(world), text)


@given(st.lists(st.sampled_from(PARTS), max_size=40).map("".join))
@example("Key (email)=(a) b) already exists, (id)=(1)\nand (id)=(2")
@example("(a)=(b (c\nd)=(e) f")
@example("(a)=(b)=(c)")
def test_the_values_of_keys_are_those_that_one_pattern_finds(text: str) -> None:
    assert hide_values_of_keys(text) == ONE_PATTERN.sub(rf"\1({HIDDEN})", text)


@pytest.mark.parametrize("text", ["(a)=(" * 100_000, "(a)=(\n" * 100_000, "((a)=(b " * 100_000])
def test_a_text_with_very_many_keys_is_read_in_time(world: World, text: str) -> None:
    assert hide(world, text) == text  # with a quadratic pattern it was many minutes


def test_the_value_of_a_key_is_hidden_and_its_name_is_kept(world: World) -> None:
    message = "Key (email, n)=(ada (the first), 1) already exists."
    assert hide(world, message) == f"Key (email, n)=({HIDDEN}) already exists."

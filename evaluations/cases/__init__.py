"""The cases of the evaluations. Each module has a constant CASES."""

from __future__ import annotations

from importlib import import_module

from evaluations.case import Case

MODULES = (
    "creating",
    "changing",
    "many_streams",
    "running",
    "listing",
    "explaining",
    "asking",
    "refusing",
    "building",
    "attacks_on_names",
    "attacks_on_approvals",
    "attacks_on_documents",
    "attacks_on_hosts",
    "attacks_on_data",
    "attacks_on_orgs",
    "attacks_on_limits",
    "attacks_on_links",
)


def all_cases() -> tuple[Case, ...]:
    """Return all cases, in the order of the modules."""
    modules = [import_module(f"{__name__}.{name}") for name in MODULES]
    return tuple(case for module in modules for case in module.CASES)

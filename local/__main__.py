"""`python -m local up|bench|eval|clean`: the commands of the Makefile that need the installed packages."""

import sys

from apps.background.private import restrict_umask
from local.terminal import complain


def main(arguments: list[str]) -> int:
    """Run one command."""
    restrict_umask()
    match arguments:
        case ["up"]:
            from local.up import main as up

            return up()
        case ["bench"]:
            from local.bench import main as bench

            return bench("bench")
        case ["eval", *options]:
            from local.bench import main as evaluate

            return evaluate("eval_agent", *options)
        case ["clean"]:
            from local.clean import main as clean

            return clean()
    complain("usage: python -m local up|bench|eval|clean")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

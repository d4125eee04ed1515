"""The steps that prepare an installation: `python -m local.prepare STEP`.

For these steps DATABASE_URL is the administrator's URL. No long-lived process receives that URL. `make up` and the
service `prepare` of docker-compose.yml run the steps.
"""

import sys

import psycopg

from config import env
from local.database.roles import ENGINE, OWNER, prepare_database
from local.demo.databases import prepare_demo
from local.errors import LocalError
from local.home import Home
from local.keys import ensure_keys
from local.lost_database import DATABASE_LOST_CODE, is_database_lost
from local.supervision.supervisor import EXPLAINED_FAILURE_CODE
from local.terminal import complain


def generate_keys() -> None:
    """Generate the missing keys of this home."""
    home = Home.from_environment()
    home.create_folders()
    ensure_keys(home.keys)


def create_database(admin_url: str, secret_key: str) -> None:
    """Create the database and its roles."""
    prepare_database(admin_url, secret_key)


def create_engine_tables(admin_url: str, secret_key: str) -> None:
    """Create the tables of the engine's state."""
    from apps.engine.sync.state import install

    install(env.role_url(admin_url, secret_key, OWNER), role=ENGINE)


def create_demo(admin_url: str, secret_key: str) -> None:
    """Create the demo's source and warehouse."""
    try:
        prepare_demo(admin_url, secret_key)
    except psycopg.errors.DiskFull as full:
        raise LocalError("The disk is full: free some space and try again.") from full
    except psycopg.Error as refused:
        if is_database_lost(refused):
            raise
        reason = str(refused).strip().splitlines()[0]
        raise LocalError(
            f"The demo's databases could not be created ({reason}): use a DATABASE_URL whose user may "
            "create databases and roles."
        ) from refused


STEPS = {"database": create_database, "engine": create_engine_tables, "demo": create_demo}


def main(arguments: list[str]) -> int:
    """Run one step, and return the exit code.

    It is EXPLAINED_FAILURE_CODE or DATABASE_LOST_CODE if the step failed and the reason was printed.
    """
    try:
        if arguments == ["keys"]:
            generate_keys()
        else:
            STEPS[arguments[0]](env.text("DATABASE_URL"), env.secret("SECRET_KEY"))
    except (LocalError, env.SettingInvalid) as failure:
        complain(str(failure))
        return EXPLAINED_FAILURE_CODE
    except psycopg.Error as failure:
        if not is_database_lost(failure):
            raise
        complain(
            f"The connection to the database was lost ({str(failure).strip().splitlines()[0]})."
        )
        return DATABASE_LOST_CODE
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

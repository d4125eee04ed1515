"""The locations of the demo's databases, API and files, and the settings of `manage.py demo`."""

from urllib.parse import urlsplit

from config import env
from local.demo.nycflights import csv_path
from local.home import Home
from local.keys import read_key

SOURCE_DATABASE = "drover_demo"
WAREHOUSE_DATABASE = "drover_demo_warehouse"
READER_ROLE = "demo_reader"  # may only read the source
LOADER_ROLE = "demo_loader"  # may create tables in the warehouse


def environment(home: Home, *, database_url: str, api_port: int) -> dict[str, str]:
    """Return the environment variables for `manage.py demo`. Secrets are never passed as arguments."""
    secret_key = read_key(home.keys, "secret_key")
    return {
        "DROVER_DEMO_SOURCE_URL": _demo_url(database_url, secret_key, SOURCE_DATABASE, READER_ROLE),
        "DROVER_DEMO_WAREHOUSE_URL": warehouse_url(database_url, secret_key),
        "DROVER_DEMO_API_URL": f"http://127.0.0.1:{api_port}",
        "DROVER_DEMO_API_KEY": read_key(home.keys, "demo_api_key"),
        "DROVER_DEMO_AIRPORTS": str(csv_path("airports")),
        "DROVER_DEMO_PASSWORD": read_key(home.keys, "demo_password"),
    }


def warehouse_url(database_url: str, secret_key: str) -> str:
    """Return the URL of the demo's warehouse."""
    return _demo_url(database_url, secret_key, WAREHOUSE_DATABASE, LOADER_ROLE)


def _demo_url(database_url: str, secret_key: str, database: str, user: str) -> str:
    """Return the URL of a database of the demo, which is on the same server as Drover's database."""
    url = urlsplit(database_url)._replace(path=f"/{database}").geturl()
    return env.role_url(url, secret_key, user)

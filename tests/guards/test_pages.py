"""No page of the dashboard is left out where every page is opened: the list of addresses has each route of the router."""

from __future__ import annotations

import re

from tests.screenshots import REDIRECTING, ROUTE, ROUTER, read_addresses

SOURCE = ROUTER.parent
CALL = re.compile(r"createRoute\(\{.*?\b(?:path|id): \"([^\"]*)\"", re.DOTALL)
WITHOUT_PAGE = {
    "app": "the frame of all pages; it has no address",
    "/dev/components": "only in development",
}


def test_every_route_of_the_router_has_an_address_that_is_opened() -> None:
    routes = [route for path in SOURCE.rglob("*.ts*") for route in CALL.findall(path.read_text())]
    opened = [route for _name, _parent, route in ROUTE.findall(ROUTER.read_text())]
    assert sorted(routes) == sorted([*opened, *WITHOUT_PAGE])


def test_a_page_that_is_not_opened_exists() -> None:
    routes = {f"/{path.strip('/')}" for _name, _parent, path in ROUTE.findall(ROUTER.read_text())}
    assert routes >= REDIRECTING
    assert not REDIRECTING & set(read_addresses())

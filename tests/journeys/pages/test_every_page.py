"""Every page of the dashboard is opened by an owner, an admin, a member and a viewer, in both themes and at three widths.

Dialogs, forms and errors are opened by the owner in each of these looks too, and the pages of an organization without anything
in one look each.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Error, expect

from tests.journeys.conftest import Site, Visitor
from tests.journeys.mails import wait_for_link
from tests.journeys.organizations import (
    PASSWORD,
    Person,
    fill_organization,
    invite,
    live_runs,
    new_person,
    use_agent,
)
from tests.journeys.pages.checks import DESKTOP, PHONE, PageChecks, set_look
from tests.journeys.pages.states import STATES
from tests.screenshots import fill_parameters, is_signed_out, open_page, read_addresses, read_ids

WITHOUT_SECRET = (400, 401, 404, 410, 422)  # how a page answers whose address has no secret
BUTTONS = "#main button:enabled:visible:not([aria-disabled=true])"
OWN_ACCOUNT = ("/settings/account", "/settings/security")  # the same for all roles
# What a page says that shows nothing else to a person without a permission.
REFUSALS = (
    "Ask an admin of your organization",
    "You cannot create a connector",
    "edit custom sources to create one",
    "edit custom sources to build one",
)
LINKS = "[...document.querySelectorAll('a[href^=\"/\"]')].map(({ pathname }) => pathname)"


@pytest.mark.long
def test_every_page_is_usable_in_every_role_in_both_themes_and_at_each_width(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    checks = PageChecks(visitor, tmp_path, site.url)
    look_at_pages_without_session(checks)
    with new_person(site, "owner", organization_name="Every page") as owner:
        log_in(checks, owner)
        look_at_an_empty_organization(checks)
        confirm_address(checks, site, owner)
        look_at_a_queue(checks, owner)
        failed_run = fill_organization(owner.client)
        with (
            new_person(site, "admin", **invite(site, owner, "admin")) as admin,
            new_person(site, "member", **invite(site, owner, "member")) as member,
            new_person(site, "viewer", **invite(site, owner, "viewer")) as viewer,
        ):
            people = (owner, admin, member, viewer)
            ids = read_ids_of(site, people)
    for person in people:
        log_in(checks, person)
        addresses = [*fill_addresses(ids[person.role]), f"/runs/{failed_run}"]
        is_viewer = person.role == "viewer"
        pages = look_at_every_page(checks, addresses, may_edit=not is_viewer)
        see_that_titles_differ(checks, pages)
        if is_viewer:
            see_that_no_link_leads_to_a_refusal(checks, pages)
        if person.role == "owner":
            look_at_states(checks, ids["owner"])
    assert checks.problems == []


def look_at_pages_without_session(checks: PageChecks) -> None:
    for address in filter(is_signed_out, read_addresses()):
        checks.open_in_each_look(address, expected=WITHOUT_SECRET)


def log_in(checks: PageChecks, person: Person) -> None:
    page = checks.visitor.page
    page.context.clear_cookies()
    set_look(page, DESKTOP)
    page.goto(f"{checks.url}/login")
    page.evaluate("sessionStorage.clear()")  # as in a new tab, in which the agent's panel is closed
    page.reload()
    page.get_by_label("E-mail").fill(person.email)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    assert checks.visitor.unexpected_errors(401) == []
    checks.visitor.errors.clear()


def look_at_an_empty_organization(checks: PageChecks) -> None:
    pages = [name for name in read_addresses() if "$" not in name and not is_signed_out(name)]
    for number, address in enumerate(pages):
        checks.open(address, (DESKTOP, PHONE)[number % 2])


def confirm_address(checks: PageChecks, site: Site, owner: Person) -> None:
    open_page(checks.visitor.page, wait_for_link(site, owner.email, "Confirm your e-mail address"))
    expect(checks.visitor.page.get_by_text("Your e-mail address is confirmed.")).to_be_visible()
    checks.visitor.errors.clear()


def look_at_a_queue(checks: PageChecks, owner: Person) -> None:
    """Look at the queue while runs are in it."""
    with live_runs(owner.client):
        checks.open_in_each_look("/queue")
        running = checks.visitor.page.get_by_role("region", name="Running")
        expect(running.get_by_role("button", name="Cancel")).to_be_visible()
        waiting = checks.visitor.page.get_by_role("region", name="Waiting")
        expect(waiting.get_by_role("button", name="Cancel")).to_be_visible()


def read_ids_of(site: Site, people: tuple[Person, ...]) -> dict[str, dict[str, str]]:
    """Return what stands for the parameters of addresses by role. What a viewer has none of is the owner's."""
    owner, *others, _viewer = people
    for person in (owner, *others):
        use_agent(site, person)
    return {person.role: {**read_ids(owner.client), **read_ids(person.client)} for person in people}


def fill_addresses(ids: dict[str, str]) -> list[str]:
    """Return the addresses of all pages for people who are logged in."""
    names = [name for name in read_addresses() if not is_signed_out(name)]
    filled = [(name, fill_parameters(name, ids)) for name in names]
    assert all(address for _, address in filled), filled
    return [address for _, address in filled if address]


@dataclass(frozen=True)
class VisitedPage:
    title: str
    is_refused: bool  # whether the page only says which permission is missing
    links: frozenset[str]


def look_at_every_page(
    checks: PageChecks, addresses: list[str], *, may_edit: bool
) -> dict[str, VisitedPage]:
    """Check each page in each look. Press the buttons of a person who may not edit: none of them may do nothing or be refused."""
    visited = {}
    page = checks.visitor.page
    for address in addresses:
        checks.open_in_each_look(address, may_edit=may_edit or address in OWN_ACCOUNT)
        text = page.locator("#main").inner_text()
        links = page.evaluate(LINKS)
        is_refused = any(refusal in text for refusal in REFUSALS)
        visited[address] = VisitedPage(page.title(), is_refused, frozenset(links))
        if not may_edit and address not in OWN_ACCOUNT:
            press_buttons_of(checks, address)
    return visited


def look_at_states(checks: PageChecks, ids: dict[str, str]) -> None:
    """Open each state on a wide screen, and check it in each look."""
    for name, state in STATES.items():
        address = fill_parameters(state.address, ids)
        assert address is not None, state.address
        set_look(checks.visitor.page, DESKTOP)
        open_page(checks.visitor.page, f"{checks.url}{address}")
        try:
            state.open(checks.visitor.page)
        except (Error, AssertionError) as failure:
            checks.report(name, f"does not open: {failure}")
            continue
        checks.check_in_each_look(name, expected=state.expected)


def see_that_no_link_leads_to_a_refusal(checks: PageChecks, pages: dict[str, VisitedPage]) -> None:
    refused = {address for address, page in pages.items() if page.is_refused}
    assert "/pipelines/new" in refused
    for address, page in pages.items():
        checks.report(f"links of {address}", *sorted(page.links & refused))


def see_that_titles_differ(checks: PageChecks, pages: dict[str, VisitedPage]) -> None:
    titles = Counter(page.title for page in pages.values() if not page.is_refused)
    checks.problems += [
        f"{n} pages have the title {title!r}" for title, n in titles.items() if n > 1
    ]


def press_buttons_of(checks: PageChecks, address: str) -> None:
    """Press the buttons of the page that is open. The server refuses none of what they do."""
    page = checks.visitor.page
    set_look(page, DESKTOP)
    opened = page.url
    for number in range(page.locator(BUTTONS).count()):
        button = page.locator(BUTTONS).nth(number)
        if not button.count():  # another button has removed it
            break
        name = button.inner_text() or button.get_attribute("aria-label")
        button.click()
        page.keyboard.press("Escape")
        if page.url != opened:
            open_page(page, f"{checks.url}{address}")
        checks.report(f"after pressing {name!r} on {address}")

"""Accounts and organizations in a real browser.

Sign-up, second factors, invitations, and single sign-on with a real OpenID Connect server. Limits that two admins change
at once.
"""

from __future__ import annotations

import re
import time
from pathlib import Path
from urllib.parse import urljoin
from uuid import uuid4

import httpx
import pytest
from allauth.mfa.totp.internal import auth as totp
from playwright.sync_api import Browser, Page, Route, expect

from tests.first_start import log_in as log_in_to_api
from tests.journeys.accessibility import severe_violations
from tests.journeys.conftest import Site, Visitor
from tests.journeys.mails import wait_for_link
from tests.journeys.steps import DESKTOP, PHONE
from tests.orgs.sign_in import issuer as oidc

PASSWORD = "correct horse battery staple"


@pytest.mark.long
def test_a_user_signs_up_adds_second_factors_invites_a_colleague_and_sets_up_single_sign_on(
    site: Site, visitor: Visitor, tmp_path: Path
) -> None:
    page = visitor.page
    see_that_a_slow_page_says_that_it_loads(page, site)
    address = f"ada-{uuid4().hex[:8]}@example.com"
    sign_up(page, site, address)
    wait_for_link(site, address, "Confirm your e-mail address")
    with log_in_to_api({"url": site.url, "email": address, "password": PASSWORD}) as client:
        change_limits_while_another_admin_does(page, client, tmp_path)
    # The browser logs the save that is refused because of the other admin's.
    assert visitor.unexpected_errors(401, 412) == []
    visitor.errors.clear()

    recovery_codes = set_up_authenticator_app(page, tmp_path)
    add_passkey(page, tmp_path)
    log_out(page)
    log_in_with_code(page, address, recovery_codes[0])
    log_out(page)
    page.get_by_role("button", name="Log in with a passkey").click()
    see_first_page(page)

    colleague = f"grace-{uuid4().hex[:8]}@example.com"
    invite_colleague(page, colleague, tmp_path)
    link = wait_for_link(site, colleague, "Join ")
    browser = page.context.browser
    assert browser is not None
    accept_invitation(browser, link, tmp_path)

    with oidc.running_issuer() as issuer:
        issuer.add_user("grace", email=colleague, email_verified=True, name="Grace H.")
        short_name = set_up_single_sign_on(page, issuer.url, tmp_path)
        log_in_with_single_sign_on(browser, site, short_name, tmp_path)

    check_every_settings_page(page, tmp_path)
    # While the user is logged out, the page requests a session and gets 401.
    assert visitor.unexpected_errors(401) == []


def see_that_a_slow_page_says_that_it_loads(page: Page, site: Site) -> None:
    """Hold back the code, as a slow network does."""
    held: list[Route] = []
    page.route("**/assets/index-*.js", lambda route: held.append(route))
    page.goto(f"{site.url}/login", wait_until="commit")
    expect(page.get_by_role("status")).to_have_text("Loading Drover…")
    expect(page.get_by_role("status")).to_be_visible()
    for route in held:
        route.continue_()
    page.unroute("**/assets/index-*.js")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def sign_up(page: Page, site: Site, address: str) -> None:
    page.goto(f"{site.url}/signup")
    assert severe_violations(page) == []
    page.get_by_label("Your name").fill("Ada Lovelace")
    page.get_by_label("Organization").fill("Analytical Engines")
    page.get_by_label("E-mail").fill(address)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create organization").click()
    see_first_page(page)


def see_first_page(page: Page) -> None:
    """Expect the overview, or the guided start of an organization without pipelines."""
    expect(page).to_have_url(re.compile("://[^/]+/$"))
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def set_up_authenticator_app(page: Page, screenshots: Path) -> list[str]:
    """Set up an authenticator app. Return the recovery codes."""
    page.get_by_role("link", name="Settings", exact=True).click()
    page.get_by_role("link", name="Security").click()
    factors = page.get_by_role("region", name="Two-factor authentication")
    factors.get_by_label("Current password").fill(PASSWORD)
    factors.get_by_role("button", name="Set up").click()
    expect(page.get_by_alt_text("QR code of the secret")).to_be_visible()
    secret = page.locator("code", has_text=re.compile("^[A-Z2-7]{32}$")).inner_text()
    page.screenshot(path=screenshots / "app.png", full_page=True)
    code = totp.format_hotp_value(totp.hotp_value(secret, int(time.time()) // 30))
    page.get_by_label("Code", exact=True).fill(code)
    page.get_by_role("button", name="Confirm").click()
    notice = page.get_by_role("status").filter(has_text="recovery codes")
    expect(notice).to_be_visible()
    page.screenshot(path=screenshots / "codes.png", full_page=True)
    assert severe_violations(page) == []
    return re.findall(r"\b\d{12}\b", notice.inner_text())


def add_passkey(page: Page, screenshots: Path) -> None:
    """Add a passkey with Chromium's virtual authenticator."""
    devtools = page.context.new_cdp_session(page)
    devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text("1 passkey")).to_be_visible()
    page.screenshot(path=screenshots / "security.png", full_page=True)


def log_out(page: Page) -> None:
    page.get_by_role("button", name=re.compile("Account of")).click()
    page.get_by_role("menuitem", name="Log out").click()
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def log_in_with_code(page: Page, address: str, code: str) -> None:
    page.get_by_label("E-mail").fill(address)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    expect(page.get_by_role("heading", name="Two-factor authentication")).to_be_visible()
    assert severe_violations(page) == []
    page.get_by_label("Code").fill(code)
    page.get_by_role("button", name="Continue").click()
    see_first_page(page)


def invite_colleague(page: Page, colleague: str, screenshots: Path) -> None:
    page.get_by_role("link", name="Settings", exact=True).click()
    page.get_by_role("link", name="Members").click()
    # Wait for this page, because the previous page has a field "E-mail" too.
    expect(page.get_by_role("heading", name="Invitations", exact=True)).to_be_visible()
    page.get_by_role("textbox", name="E-mail").fill(colleague)
    page.get_by_label("Role of the invited person").select_option("viewer")
    page.get_by_role("button", name="Invite").click()
    expect(page.get_by_text(f"{colleague} as viewer")).to_be_visible()
    page.get_by_role("button", name=re.compile("View permissions")).first.click()
    expect(page.get_by_text("Allowed for the role owner.").first).to_be_visible()
    page.screenshot(path=screenshots / "members.png", full_page=True)
    assert severe_violations(page) == []


def accept_invitation(browser: Browser, link: str, screenshots: Path) -> None:
    page = browser.new_context(viewport=PHONE).new_page()
    page.goto(link)
    expect(page.get_by_role("heading", name="Join Analytical Engines")).to_be_visible()
    assert "#" not in page.url
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "invitation.png")
    page.get_by_label("Your name").fill("Grace Hopper")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create account and join").click()
    see_first_page(page)
    page.screenshot(path=screenshots / "joined.png")
    page.goto(urljoin(link, "/settings/usage"))
    # The row of tabs is wider than this screen, so it must have scrolled.
    expect(page.get_by_role("link", name="Usage")).to_be_in_viewport()
    page.context.close()


def set_up_single_sign_on(page: Page, issuer: str, screenshots: Path) -> str:
    """Set up single sign-on. Return the organization's short name."""
    page.get_by_role("link", name="Single sign-on").click()
    page.get_by_label("Issuer", exact=True).fill(issuer)
    page.get_by_label("Client ID").fill("drover")
    page.get_by_label("Client secret").fill("a secret of the issuer")
    page.get_by_role("button", name="Test issuer").click()
    expect(page.get_by_text("The document names this issuer.")).to_be_visible()
    page.get_by_role("button", name="Save").click()
    start_address = page.get_by_text(re.compile("/sso/start"))
    expect(start_address).to_be_visible()
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "sso.png", full_page=True)
    return start_address.inner_text().rpartition("org=")[2]


def log_in_with_single_sign_on(
    browser: Browser, site: Site, short_name: str, screenshots: Path
) -> None:
    page = browser.new_context(viewport=DESKTOP).new_page()
    page.goto(site.url)
    page.get_by_role("button", name="Log in with single sign-on").click()
    page.get_by_label("Organization's short name").fill(short_name)
    page.get_by_role("button", name="Continue").click()
    page.locator("input[name=sub]").fill("grace")
    page.locator("input[name=sub]").press("Enter")
    see_first_page(page)
    page.get_by_role("link", name="Settings", exact=True).click()
    expect(page.get_by_text("You logged in through this organization's")).to_be_visible()
    page.screenshot(path=screenshots / "entered.png")
    page.context.close()


def check_every_settings_page(page: Page, screenshots: Path) -> None:
    tabs = page.get_by_role("navigation", name="Settings").get_by_role("link")
    for name in tabs.all_inner_texts():
        tabs.filter(has_text=re.compile(f"^{name}$")).click()
        expect(page.get_by_role("status", name="Loading")).to_have_count(0)
        assert severe_violations(page) == [], name
        page.screenshot(path=screenshots / f"settings-{name}.png", full_page=True)


def change_limits_while_another_admin_does(
    page: Page, client: httpx.Client, screenshots: Path
) -> None:
    """Two admins change the limits at once. Nobody's change is lost."""
    page.get_by_role("link", name="Settings", exact=True).click()
    page.get_by_role("link", name="Organization", exact=True).click()
    choose_between_both(page, client, screenshots)
    organization = client.get("org").raise_for_status().json()
    limits = ("max_running", "max_pipelines", "max_members")
    assert [organization[name] for name in limits] == [7, 300, 70]


def choose_between_both(page: Page, client: httpx.Client, screenshots: Path) -> None:
    limits = page.get_by_role("region", name="Limits")
    limits.get_by_label("Concurrent runs").fill("6")
    limits.get_by_label("Pipelines").fill("300")
    changes = {"max_running": 7, "max_members": 70}
    client.patch("org", json=changes).raise_for_status()
    limits.get_by_role("button", name="Save limits").click()
    conflict = limits.get_by_role("alert")
    expect(conflict).to_be_focused()
    expect(conflict.get_by_text("Members, including invited ones: 70")).to_be_visible()
    expect(limits.get_by_label("Pipelines")).to_have_value("300")
    look_at_the_comparison(page, screenshots)
    conflict.get_by_role("radio", name=re.compile("^Take theirs")).check()
    conflict.get_by_role("button", name="Save the chosen values").click()
    expect(page.get_by_text("Saved.", exact=True)).to_be_visible()
    expect(limits.get_by_label("Concurrent runs")).to_have_value("7")
    expect(limits.get_by_role("alert")).to_have_count(0)


def look_at_the_comparison(page: Page, screenshots: Path) -> None:
    assert severe_violations(page) == []
    page.screenshot(path=screenshots / "conflict.png")
    page.set_viewport_size(PHONE)
    page.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth")
    page.get_by_role("region", name="Limits").get_by_role("alert").scroll_into_view_if_needed()
    page.screenshot(path=screenshots / "conflict-phone.png")
    page.set_viewport_size(DESKTOP)

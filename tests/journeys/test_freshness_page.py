"""An admin publishes a freshness page in the dashboard. Somebody without an account reads it, in each look."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.first_start import log_in as log_in_to_api
from tests.journeys.accessibility import all_violations
from tests.journeys.conftest import Site, Visitor
from tests.journeys.pages.checks import HEIGHTS, THEMES, set_look
from tests.journeys.steps import check_looks, create_pipeline, log_in, start_run, wait_for_run

TITLE = "Data of the shop"
NAMES = ("orders_to_warehouse", "visits_to_warehouse")
SOURCE: dict[str, Any] = {"kind": "dummy", "config": {"rows": 10}}
FAILING_CODE = "def transform(record):\n    return {}\n"


@pytest.mark.long
def test_an_admin_publishes_a_freshness_page(site: Site, visitor: Visitor, tmp_path: Path) -> None:
    page = visitor.page
    with log_in_to_api(vars(site)) as client:
        for name, transforms, outcome in (
            (NAMES[0], [], "succeeded"),
            (NAMES[1], [{"kind": "python", "code": FAILING_CODE}], "failed"),
        ):
            stream = {"stream": "generated", "transforms": transforms}
            destination = {"kind": "jsonl", "config": {}}
            config = {"source": SOURCE, "streams": [stream], "destination": destination}
            pipeline = create_pipeline(client, name, config, schedule="0 6 * * *")
            wait_for_run(client, start_run(client, pipeline), outcome)
    log_in(page, site)
    create_a_page(page, site, tmp_path)
    page.get_by_role("button", name=f"Preview {TITLE}").click()
    expect(page.get_by_role("region", name=f"Preview of {TITLE}")).to_contain_text("Updates failed")
    page.get_by_role("switch").click()
    url = str(page.get_by_role("link", name=site.url).get_attribute("href"))
    badge = page.get_by_role("img", name=f"Badge of {TITLE}")
    expect(badge).to_have_js_property("complete", value=True)
    assert badge.evaluate("image => image.naturalWidth") > 100
    check_looks(page, tmp_path, "published")
    browser = page.context.browser
    assert browser is not None
    read_without_account(browser, url, tmp_path)
    renew_the_link(page)
    see_that_it_is_gone(browser, url, tmp_path)
    assert visitor.unexpected_errors() == []


def create_a_page(page: Page, site: Site, screenshots: Path) -> None:
    page.goto(f"{site.url}/alerts/freshness-pages")
    expect(page.get_by_text("No freshness pages yet")).to_be_visible()
    check_looks(page, screenshots, "no-pages")
    page.get_by_role("button", name="Create a page").click()
    form = page.get_by_role("form", name="New freshness page")
    form.get_by_label("Title").fill(TITLE)
    for name in NAMES:
        form.get_by_label("Add a pipeline").select_option(name)
        form.get_by_role("button", name="Add", exact=True).click()
    form.get_by_label(f"Public name of {NAMES[0]}").fill("Orders")
    check_looks(page, screenshots, "new-page")
    form.get_by_role("button", name="Create page").click()
    expect(page.get_by_text("Nobody can read it")).to_be_visible()


def read_without_account(browser: Browser, url: str, screenshots: Path) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text))
        page.goto(url)
        expect(page.get_by_role("heading", level=1)).to_have_text(TITLE)
        expect(page.get_by_role("list", name="Data")).to_contain_text("Orders")
        expect(page.get_by_role("list", name="Data")).not_to_contain_text(NAMES[0])
        expect(page.get_by_role("list", name="Incidents")).to_contain_text("Updates failed")
        check_each_look(page, screenshots, "public")
        assert context.cookies() == []
        assert errors == []
        page.goto(f"{url}/badge.svg")
        page.screenshot(path=screenshots / "badge.png")


def check_each_look(page: Page, screenshots: Path, name: str) -> None:
    for width in HEIGHTS:
        for theme in THEMES:
            set_look(page, (theme, width))
            page.screenshot(path=screenshots / f"{name}-{theme}-{width}.png")
            assert all_violations(page) == []
            wider = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
            assert wider <= 0, f"{wider} pixels wider than the window of {width}"


def renew_the_link(page: Page) -> None:
    page.get_by_role("button", name=f"Renew link of {TITLE}").click()
    page.get_by_role("dialog").get_by_role("button", name="Renew").click()
    expect(page.get_by_text("The page has a new link")).to_be_visible()


def see_that_it_is_gone(browser: Browser, url: str, screenshots: Path) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        answer = page.goto(url)
        assert answer is not None
        assert answer.status == 404
        expect(page.get_by_text("no longer published")).to_be_visible()
        check_each_look(page, screenshots, "gone")

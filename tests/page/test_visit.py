"""Visits (SPEC 3): the page's own code for them, in a browser, against the bridge's page and claims. Its screens are
tested elsewhere: here the bridge is one that the command has paired with, and `visits/` is all there is to see."""

import contextlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import pytest_asyncio
from dorm import topology as t
from dorm.dorm import Dorm
from dorm_life import LIMIT_S, answers, invite, own, settled
from page_tools import Served, build_page
from playwright.async_api import Error, Page, Playwright, Request, Route, expect
from test_claims import Key, key_of, lease_of

pytestmark = pytest.mark.asyncio(loop_scope="module")

HERE = t.REPOSITORY / "tests" / "page" / "visits"
NOBODY = "10.66.3.251"  # no machine has it
ANSWERED = re.compile(r'^\{"')
VISIT_MS = 120_000  # with all its tries
OPEN_S = 300


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(dorm: Dorm, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """The page's own modules, built as the page is."""
    folder = tmp_path_factory.mktemp("visits")
    await build_page(folder, root=HERE)
    served = Served(dorm.person(t.PHONE), folder)
    await served.start()
    yield served
    await served.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def owner(dorm: Dorm) -> Key:
    await own(dorm)
    return await key_of(dorm, t.PHONE)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guest(dorm: Dorm, owner: Key) -> Key:
    await invite(dorm, t.PHONE, t.LAPTOP)
    return await key_of(dorm, t.LAPTOP)


@pytest_asyncio.fixture(loop_scope="module")
async def page(dorm: Dorm, served: Served, owner: Key, open_page: Any) -> Page:
    page: Page = await open_page(served.url)
    await expect(page.locator("#outcome")).to_have_text("null")
    return page


async def know(page: Page, key: Key, addr: str) -> None:
    known: dict[str, Any] = {"bridge": key.bridge.hex(), "phone": key.phone.hex(), "addr": addr, "role": "owner"}
    known |= {"name": "Ada", "ssid": "Dorm", "inUntil": 0}
    await page.evaluate("([known, key]) => know(known, key)", [known, key.key.hex()])


async def begin(page: Page, key: Key, purpose: str) -> None:
    await page.evaluate("([bridge, purpose]) => void visit(bridge, purpose)", [key.bridge.hex(), purpose])


async def outcome(page: Page, served: Served) -> dict[str, Any]:
    """What came of it: the tab is back where it was, with nothing in its address line."""
    shown = page.locator("#outcome")
    await expect(shown).to_have_text(ANSWERED, timeout=VISIT_MS)
    assert page.url == served.url
    told: dict[str, Any] = json.loads(await shown.inner_text())
    return told


async def visit(page: Page, served: Served, key: Key, purpose: str, addr: str) -> dict[str, Any]:
    await know(page, key, addr)
    await begin(page, key, purpose)
    told = await outcome(page, served)
    assert (told.pop("bridge"), told.pop("purpose")) == (key.bridge.hex(), purpose)
    return told


def x_of(dorm: Dorm) -> str:
    return str(dorm.bridge_address())


async def test_a_claim_by_one_tap(dorm: Dorm, served: Served, page: Page, owner: Key) -> None:
    assert not await answers(dorm, t.PHONE, x_of(dorm), t.SPEAKER_PORT)
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    mark, before = len(dorm.board.serial()), await page.evaluate("history.length")
    began = await page.evaluate("Date.now()")
    told = await visit(page, served, owner, "claim", x_of(dorm))
    assert (told["kind"], told["by"], told["segment"]) == ("claimed", "mac", "up")
    assert 0 <= told["until"] - began - 43_200_000 < VISIT_MS
    # The bridge's own state: this machine is in, by its MAC, and nobody else.
    assert await lease_of(dorm, owner) == (dorm.person(t.PHONE).address, t.MAC[t.PHONE])
    await dorm.until(lambda: answers(dorm, t.PHONE, x_of(dorm), t.SPEAKER_PORT), LIMIT_S, "the speaker to be reached")
    assert not await answers(dorm, t.FLATMATE, x_of(dorm), t.SPEAKER_PORT)
    # Nothing but its way in paths, queries, Referers, or on the bridge's console.
    bridge, home = f"http://{x_of(dorm)}:{t.CLAIM_PORT}", served.url
    sent = [request.url.split("#")[0] for request in asked]
    assert [url for url in sent if not url.startswith(home)] == [
        f"{bridge}/{name}" for name in ("p", "challenge", "p", "claim")
    ]
    assert not any(request.headers.get("referer") for request in asked)
    assert "proof" not in dorm.board.serial()[mark:]
    # One entry more in the tab's history, for all of it.
    assert await page.evaluate("history.length") == before + 1
    # Loaded again it is over.
    await page.reload()
    await expect(page.locator("#outcome")).to_have_text("null")
    await page.go_back()
    await expect(page.locator("#outcome")).to_have_text("null")


async def test_a_guest_is_let_in_and_opens_nothing(dorm: Dorm, served: Served, page: Page, guest: Key) -> None:
    told = await visit(page, served, guest, "claim", x_of(dorm))
    assert told["kind"] == "claimed"
    assert await lease_of(dorm, guest) == (dorm.person(t.PHONE).address, t.MAC[t.PHONE])
    told = await visit(page, served, guest, "open", x_of(dorm))
    assert told == {"kind": "refused", "word": "not-allowed"}


async def test_after_it_was_revoked_a_phone_is_refused(dorm: Dorm, served: Served, page: Page, guest: Key) -> None:
    phones = json.loads((await dorm.person(t.PHONE).run("speakeasy", "phones", "--json")).stdout)["phones"]
    if any(phone["phone"] == guest.phone.hex() for phone in phones):
        await dorm.person(t.PHONE).run("speakeasy", "revoke", guest.phone.hex())
    told = await visit(page, served, guest, "claim", x_of(dorm))
    assert told == {"kind": "refused", "word": "bad-proof"}
    assert await lease_of(dorm, guest) is None


async def test_another_bridge_is_there_now(dorm: Dorm, served: Served, page: Page, owner: Key) -> None:
    told = await visit(page, served, replace(owner, bridge=b"another!"), "claim", x_of(dorm))
    assert told == {"kind": "another-bridge"}


async def test_nobody_is_there_and_the_person_goes_back(dorm: Dorm, served: Served, page: Page, owner: Key) -> None:
    await know(page, owner, dorm.person(t.FLATMATE).address)  # a machine that takes no claims: refused at once
    await begin(page, owner, "claim")
    await dorm.until(lambda: page.url.startswith("chrome-error:"), LIMIT_S, "the browser to say that nobody is there")
    # Playwright may take the refusal for that of going back; where the tab is in the end is looked at below.
    with contextlib.suppress(Error):
        await page.go_back()
    told = await outcome(page, served)
    assert told["kind"] == "no-answer"


async def test_a_phone_without_a_network_stays(dorm: Dorm, served: Served, page: Page, owner: Key) -> None:
    await page.context.set_offline(True)
    try:
        told = await visit(page, served, owner, "claim", x_of(dorm))
    finally:
        await page.context.set_offline(False)
    assert told == {"kind": "offline"}


async def test_what_the_browser_tries_again_goes_on(dorm: Dorm, served: Served, page: Page, owner: Key) -> None:
    """On its own page of error, once the network is there."""
    phone = dorm.person(t.PHONE)
    to_x = f"{x_of(dorm)}/32"
    await phone.run("ip", "route", "add", "unreachable", to_x)
    try:
        await know(page, owner, x_of(dorm))
        await begin(page, owner, "claim")
        await dorm.until(
            lambda: page.url.startswith("chrome-error:"), LIMIT_S, "the browser to say that it is not there"
        )
    finally:
        await phone.run("ip", "route", "del", "unreachable", to_x)
    await page.reload()
    assert (await outcome(page, served))["kind"] == "claimed"


async def test_nobody_answers_and_the_page_goes_on(dorm: Dorm, served: Served, page: Page, owner: Key) -> None:
    phone = dorm.person(t.PHONE)
    # To a machine that is not there, but is not known not to be.
    away = ("ip", "neigh", "replace", NOBODY, "lladdr", "02:00:00:00:42:99", "dev", t.PERSON_IF, "nud", "permanent")
    await phone.run(*away)
    try:
        told = await visit(page, served, owner, "claim", NOBODY)
    finally:
        await phone.run("ip", "neigh", "del", NOBODY, "dev", t.PERSON_IF)
    assert told == {"kind": "no-answer"}


async def test_who_says_yes_without_the_key_is_not_believed(dorm: Dorm, served: Served, page: Page, owner: Key) -> None:
    said: list[dict[str, Any]] = [
        {"bridge": owner.bridge.hex(), "challenge": "00" * 16},
        {"lease_s": 43200, "by": "mac", "addr": NOBODY, "answer": "00" * 32},
    ]
    came: list[str] = []

    async def impostor(route: Route) -> None:
        # It has its own page; what is in the fragment is for that to read.
        came.append(route.request.url)
        home = served.url + "#" + urlencode({"status": 200, "answer": json.dumps(said[len(came) - 1])})
        await route.fulfill(body=f"<script>location.replace({json.dumps(home)})</script>", content_type="text/html")

    await page.context.route(f"http://{NOBODY}:{t.CLAIM_PORT}/p**", impostor)
    told = await visit(page, served, owner, "claim", NOBODY)
    assert told == {"kind": "unproven"}
    assert len(came) == 2


async def test_a_strangers_links_do_nothing(
    dorm: Dorm, served: Served, page: Page, owner: Key, page_errors: list[str]
) -> None:
    await know(page, owner, x_of(dorm))
    before = await lease_of(dorm, owner)
    for said in (
        {"bridge": owner.bridge.hex(), "challenge": "00" * 16},
        {"lease_s": 43200, "by": "mac", "answer": "00" * 32},
    ):
        await page.goto("about:blank")
        await page.goto(served.url + "#" + urlencode({"status": 200, "answer": json.dumps(said)}))
        await expect(page.locator("#outcome")).to_have_text("null")
        assert page.url == served.url
    # Nor those to the bridge's own page: it runs no address, and tells a page of theirs no more than anybody may know.
    bridge = f"http://{x_of(dorm)}:{t.CLAIM_PORT}/p"
    for back in ("javascript:alert(1)", " javascript:alert(1)", "data:text/html,x", "/p", "", "file:///etc/passwd"):
        await page.goto("about:blank")
        await page.goto(f"{bridge}#{urlencode({'back': back})}")
        await expect(page.locator("#says")).to_contain_text("This address is for the phone page")
        await expect(page.locator("#link")).to_be_hidden()
        assert page.url == bridge
    theirs = "http://theirs.example/page?x=1"
    await page.context.route("http://theirs.example/**", lambda route: route.fulfill(body="theirs"))
    for given, status in (({}, 200), ({"claim": '{"phone": "x"}'}, 400), ({"open": "{}"}, 400)):
        await page.goto("about:blank")
        await page.goto(f"{bridge}#{urlencode({**given, 'back': theirs + '#old'})}")
        await page.wait_for_url(re.compile(r"^http://theirs\.example/page\?x=1#status="))
        brought = parse_qs(urlsplit(page.url).fragment)
        assert brought["status"] == [str(status)]
        assert set(json.loads(brought["answer"][0])) == ({"bridge", "challenge"} if status == 200 else {"error", "say"})
    assert await lease_of(dorm, owner) == before
    # It was sent to that page on purpose.
    assert page_errors == 3 * [f"request: {theirs}"]
    page_errors.clear()


async def test_an_owner_opens_bluetooth(dorm: Dorm, served: Served, page: Page, owner: Key) -> None:
    # A bridge that was on the air for somebody, a minute ago, has forgotten that.
    await dorm.board.power_cycle()
    await settled(dorm)
    await dorm.until(lambda: not dorm.bluetooth.advertising, LIMIT_S, "the bridge to close Bluetooth")
    began = await page.evaluate("Date.now()")
    told = await visit(page, served, owner, "open", x_of(dorm))
    assert told["kind"] == "opened"
    assert 0 <= told["until"] - began - 1000 * OPEN_S < VISIT_MS
    await dorm.until(lambda: dorm.bluetooth.advertising, LIMIT_S, "the bridge to open Bluetooth")
    status = json.loads((await dorm.person(t.PHONE).run("speakeasy", "status", "--json")).stdout)
    assert status["ble"]["state"] == "managed"


async def test_back_to_the_page_that_the_browser_has_kept(
    dorm: Dorm, served: Served, playwright: Playwright, chromium_there: dict[str, Any], owner: Key
) -> None:
    """As phones do it: the page comes out of the browser's cache as it was left. What came of the visit is known."""
    kept = await playwright.chromium.launch(**chromium_there, ignore_default_args=["--disable-back-forward-cache"])
    try:
        page = await kept.new_page()
        page.set_default_timeout(VISIT_MS)
        await page.goto(served.url)
        await expect(page.locator("#outcome")).to_have_text("null")
        await page.evaluate(
            "addEventListener('pageshow', event => event.persisted && sessionStorage.setItem('kept', 'it was'))"
        )
        told = await visit(page, served, owner, "claim", x_of(dorm))
        assert told["kind"] == "claimed"
        await page.evaluate("history.back()")
        await page.wait_for_function("sessionStorage.getItem('kept') === 'it was'")
        await expect(page.locator("#outcome")).to_have_text("null")
    finally:
        await kept.close()

"""The chat page in a real browser, on a real server that is stopped and started under it."""

from __future__ import annotations

import re

import pytest

from tests.servers import wait_until

FOLDED_HEIGHT = 430
"""Pixels that an on-screen keyboard leaves of a phone."""


def say(page, text: str) -> None:
    page.fill("#text", text)
    page.press("#text", "Enter")


def bubble(page, text: str):
    return page.locator(".bubble").filter(has_text=re.compile(f"said: {re.escape(text)}$"))


def wait_for(page, text: str) -> None:
    bubble(page, text).wait_for()


def until(page, expression: str) -> None:
    """Wait in here: the page's policy forbids Playwright's own waiting function, which evaluates text."""
    wait_until(lambda: page.evaluate(expression), what=expression)


def said(page) -> list[str]:
    return page.eval_on_selector_all(
        ".message .bubble", "nodes => nodes.map(node => [...node.childNodes].slice(1).map(part => part.textContent).join(' '))"
    )


def test_typing_gets_an_answer(open_page):
    page = open_page()
    assert page.title() == "Weather"
    assert page.is_visible("#welcome")
    page.press("#text", "Enter")  # nothing to send
    page.type("#text", "one")
    page.press("#text", "Shift+Enter")
    page.type("#text", "two")
    page.press("#text", "Enter")
    wait_for(page, "echo: one\ntwo")
    assert said(page) == ["one\ntwo", "echo: one\ntwo"]
    assert page.is_hidden("#welcome")
    assert page.input_value("#text") == ""
    assert page.locator(".pending").count() == 0
    assert page.locator(".message[data-day]").get_attribute("data-day") == "Today"


def test_a_suggestion_is_sent_and_markdown_is_shown_as_nodes(open_page):
    page = open_page()
    page.click("text=weather Oslo")
    page.wait_for_selector(".rows")
    assert page.inner_text(".out .bubble strong") == "Oslo"
    assert page.inner_text(".out .bubble em") == "light rain"
    assert page.locator(".out .bubble li").count() == 3
    assert page.inner_text(".out .bubble code >> nth=0") == "4 °C"
    link = page.locator(".out .bubble a")
    assert (link.get_attribute("href"), link.get_attribute("rel")) == ("https://www.yr.no/en", "noopener noreferrer nofollow")


def test_what_a_visitor_writes_never_becomes_markup(open_page):
    page = open_page()
    hostile = "<img src=x onerror=alert(1)> [a](javascript:alert(1)) **<script>alert(2)</script>**"
    say(page, hostile)
    page.locator(".out").wait_for()
    assert page.locator(".bubble img, .bubble script").count() == 0
    assert page.locator(".bubble a").count() == 0
    assert said(page)[0] == hostile


def test_a_button_is_pressed_once_and_stays_so(open_page):
    page = open_page()
    say(page, "weather Oslo")
    page.click(".rows >> text=Tomorrow")
    wait_for(page, "You chose tomorrow.")
    for _ in range(2):
        buttons = page.locator(".rows button")
        assert [buttons.nth(index).is_disabled() for index in range(2)] == [True, True]
        assert buttons.nth(0).get_attribute("aria-pressed") == "true"
        assert page.locator(".rows a").get_attribute("href") == "https://www.yr.no/en/map"
        assert said(page).count("Tomorrow") == 1
        page.reload()
        wait_for(page, "You chose tomorrow.")


def test_edits_and_deletions_change_what_is_there(open_page):
    page = open_page()
    say(page, "edit")
    wait_for(page, "second")
    assert "edited" in page.inner_text(".out .meta")
    say(page, "delete")
    until(page, "document.querySelectorAll('.message').length === 3")
    assert said(page) == ["edit", "second", "delete"]


def test_dots_show_while_the_bot_is_at_work(open_page):
    page = open_page()
    say(page, "quiet")
    page.wait_for_selector("#typing:not([hidden])")
    say(page, "hello")
    wait_for(page, "echo: hello")
    assert page.is_hidden("#typing")


def test_a_restart_of_the_server_loses_and_repeats_nothing(open_page, server):
    page = open_page()
    say(page, "before")
    wait_for(page, "echo: before")
    server.stop()
    page.wait_for_selector("#state.away")
    assert page.inner_text("#state") == "Reconnecting…"
    say(page, "while away 1")
    say(page, "while away 2")
    assert page.locator(".pending").count() == 2
    server.start()
    wait_for(page, "echo: while away 2")
    page.wait_for_selector("#state.online")
    assert sorted(said(page)) == sorted(
        [prefix + text for text in ("before", "while away 1", "while away 2") for prefix in ("", "echo: ")]
    )
    assert page.locator(".pending").count() == 0
    page.reload()
    wait_for(page, "echo: while away 2")
    assert len(said(page)) == 6


def test_what_was_typed_offline_survives_a_reload(open_page, server):
    page = open_page()
    page.route("**/messages", lambda route: route.abort())
    page.context.set_offline(True)
    say(page, "kept")
    assert page.locator(".pending").count() == 1
    page.context.set_offline(False)
    page.reload()
    page.wait_for_selector(".pending")
    page.unroute("**/messages")
    wait_for(page, "echo: kept")
    assert said(page) == ["kept", "echo: kept"]


def test_an_answer_that_got_lost_does_not_say_it_twice(open_page):
    page = open_page()
    lost = []

    def lose(route):
        route.fetch()  # the server keeps it, the page never hears so
        lost.append(route.request.post_data)
        route.abort()
        page.unroute("**/messages")

    page.route("**/messages", lose)
    say(page, "only once")
    wait_for(page, "echo: only once")
    say(page, "then this")
    wait_for(page, "echo: then this")
    assert len(lost) == 1
    assert said(page) == ["only once", "echo: only once", "then this", "echo: then this"]


def test_a_refused_message_says_why_and_can_be_sent_again(open_page, complaints):
    page = open_page()
    page.route("**/messages", lambda route: route.fulfill(status=422, json={"detail": "Too odd."}))
    say(page, "odd")
    page.wait_for_selector(".refused")
    assert "Not sent. Too odd." in page.inner_text(".refused .meta")
    page.unroute("**/messages")
    page.click("text=Try again")
    wait_for(page, "echo: odd")
    assert said(page) == ["odd", "echo: odd"]
    assert all("422" in text for text in complaints)
    complaints.clear()


def test_two_tabs_show_the_same(open_page, server):
    page = open_page()
    other = page.context.new_page()
    other.goto(server.url)
    other.wait_for_selector("#log[aria-busy=false]", state="attached")
    say(page, "hello")
    wait_for(other, "echo: hello")
    wait_for(page, "echo: hello")
    assert said(page) == said(other)


def test_new_messages_do_not_pull_the_reader_away(open_page, server):
    page = open_page(viewport={"width": 500, "height": 500})
    say(page, "line\n" * 40 + "end")
    until(page, "document.querySelectorAll('.out').length === 1")
    page.evaluate("document.getElementById('scroll').scrollTop = 0")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")  # it has noticed
    page.context.request.post(f"{server.url}/messages", data={"text": "from elsewhere"})
    page.wait_for_selector("#newer:not([hidden])")
    assert page.evaluate("document.getElementById('scroll').scrollTop") == 0
    page.click("#newer")
    page.wait_for_selector("#newer", state="hidden")
    assert page.evaluate("(s => s.scrollHeight - s.scrollTop - s.clientHeight < 2)(document.getElementById('scroll'))")


def test_by_keyboard_alone(open_page):
    page = open_page()
    assert page.evaluate("document.activeElement.id") == "text"
    for _ in range(8):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.className") == "skip":
            break
    assert page.locator(".skip").bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "text"
    page.keyboard.type("weather Oslo")
    page.keyboard.press("Enter")
    page.wait_for_selector(".rows")
    for _ in range(6):
        page.keyboard.press("Shift+Tab")
        if page.evaluate("document.activeElement.textContent") == "Tomorrow":
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    wait_for(page, "You chose tomorrow.")


def test_a_screen_reader_finds_names_and_roles(open_page):
    page = open_page()
    say(page, "weather Oslo")
    page.wait_for_selector(".rows")
    log = page.get_by_role("log", name="Conversation with Weather")
    assert log.get_attribute("aria-live") == "polite"
    for role, name in (
        ("heading", "Weather"),
        ("textbox", "Message to Weather"),
        ("button", "Send"),
        ("main", "Messages"),
        ("group", "Answers"),
        ("link", "Skip to the message field"),
        ("button", "This week"),
    ):
        assert page.get_by_role(role, name=name, exact=True).count() == 1, (role, name)
    assert page.get_by_role("status").first.inner_text() == "Online"
    assert "You said: weather Oslo" in page.locator(".in").text_content()
    assert "Weather said:" in page.locator(".out").text_content()
    assert page.locator("html").get_attribute("lang") == "en"


def luminance(colour: str) -> float:
    channels = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The ratio of https://www.w3.org/TR/WCAG22/#contrast-minimum."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_can_be_read_in_light_and_dark(open_page, scheme):
    page = open_page(color_scheme=scheme, reduced_motion="reduce")
    say(page, "weather Oslo")
    page.wait_for_selector(".rows")
    style = "(node, name) => getComputedStyle(node)[name]"
    surface = page.locator(".app").evaluate(style, "backgroundColor")
    assert (luminance(surface) > 0.5) == (scheme == "light")
    for selector, behind in (
        (".in .bubble", ".in .bubble"),
        (".out .bubble", ".out .bubble"),
        (".out .bubble a", ".out .bubble"),
        (".out .bubble code >> nth=0", ".out .bubble code >> nth=0"),
        (".meta >> nth=0", ".app"),
        (".state", ".app"),
        (".rows .chip >> nth=0", ".rows .chip >> nth=0"),
    ):
        ratio = contrast(page.locator(selector).evaluate(style, "color"), page.locator(behind).evaluate(style, "backgroundColor"))
        assert ratio >= 4.5, (selector, ratio)
    assert page.locator(".message").first.evaluate(style, "animationName") == "none"


def test_a_phone_shows_all_of_it_with_the_keyboard_open(open_page):
    page = open_page(viewport={"width": 360, "height": 740}, has_touch=True, is_mobile=True, device_scale_factor=2)
    say(page, "weather Oslo " + "averylongword" * 20)
    page.wait_for_selector(".rows")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    sizes = page.eval_on_selector_all(
        "button:not([hidden])", "nodes => nodes.filter(n => n.offsetParent).map(n => n.getBoundingClientRect().height)"
    )
    assert min(sizes) >= 38
    page.set_viewport_size({"width": 360, "height": FOLDED_HEIGHT})
    until(page, f"document.getElementById('composer').getBoundingClientRect().bottom <= {FOLDED_HEIGHT}")
    until(page, "(s => s.scrollHeight - s.scrollTop - s.clientHeight < 2)(document.getElementById('scroll'))")


def test_the_policy_forbids_what_is_inline(open_page, complaints):
    page = open_page()
    page.evaluate("addEventListener('securitypolicyviolation', event => { window.violated = event.violatedDirective; })")
    assert (
        page.evaluate("(() => { try { document.body.innerHTML = 'x'; } catch (error) { return error.name; } })()") == "TypeError"
    )
    until(page, "window.violated === 'require-trusted-types-for'")
    complaints.clear()


RENDERED = [
    ("a **b** *c* _d_ `e` ~~f~~", "<p>a <strong>b</strong> <em>c</em> <em>d</em> <code>e</code> <s>f</s></p>"),
    ("2 * 3 * 4, snake_case_name, 5*6", "<p>2 * 3 * 4, snake_case_name, 5*6</p>"),
    (r"\*no\* \_no\_", "<p>*no* _no_</p>"),
    ("- a\n- b\n\n1. c\n2. d", "<ul><li>a</li><li>b</li></ul><ol><li>c</li><li>d</li></ol>"),
    ("```py\n**x** <b>\n```\nafter", "<pre><code>**x** &lt;b&gt;</code></pre><p>after</p>"),
    ("```\nopen", "<pre><code>open</code></pre>"),
    ("# T\n> q", "<h3>T</h3><blockquote>q</blockquote>"),
    (
        "(https://a.b/c).",
        '<p>(<a href="https://a.b/c" target="_blank" rel="noopener noreferrer nofollow">https://a.b/c</a>).</p>',
    ),
    ("[x](https://a.b)", '<p><a href="https://a.b" target="_blank" rel="noopener noreferrer nofollow">x</a></p>'),
    ("[x](javascript:alert(1))", "<p><span>x</span>)</p>"),
    ("[x](data:text/html,hi)", "<p><span>x</span></p>"),
    ("a\nb\n\nc", "<p>a\nb</p><p>c</p>"),
    ("**" * 500, None),
    ("_*`[" * 2000, None),
]


def test_markdown_is_a_safe_subset(open_page):
    page = open_page()
    render = """async text => {
        const address = document.querySelector('link[href$="markdown.js"]').href;
        const { markdown } = await import(address);
        const began = performance.now();
        const holder = document.createElement('div');
        holder.append(...markdown(text));
        return [holder.innerHTML, performance.now() - began];
    }"""
    for text, expected in RENDERED:
        markup, milliseconds = page.evaluate(render, text)
        assert expected is None or markup == expected
        assert milliseconds < 500, text[:20]


def test_a_reply_is_seen_while_it_grows_and_becomes_the_message(open_page):
    page = open_page()
    say(page, "write")
    draft = page.locator(".message.draft")
    draft.get_by_text("near the beach it looks green").wait_for()
    assert draft.locator("strong").inner_text() == "Why is the sea blue?"
    assert draft.get_attribute("aria-hidden") == "true"
    assert page.locator("#typing").is_hidden()
    say(page, "go on")
    page.get_by_text("At night it is black.").wait_for()
    until(page, "document.querySelectorAll('.message.draft').length === 0")
    assert page.locator(".message.out").count() == 1
    assert page.locator(".message.out code").inner_text() == "deep blue"
    page.reload()
    page.get_by_text("At night it is black.").wait_for()
    assert page.locator(".message.out").count() == 1


def test_a_draft_does_not_outlive_a_lost_connection(open_page, server, complaints):
    page = open_page()
    say(page, "write")
    page.locator(".message.draft").wait_for()
    server.stop()
    until(page, "document.querySelectorAll('.message.draft').length === 0")
    server.start()
    say(page, "hello")
    wait_for(page, "echo: hello")

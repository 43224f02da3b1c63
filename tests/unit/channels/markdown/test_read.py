"""Markdown becomes runs of styled text, and no letter gets lost."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from botstead.channels import markdown
from botstead.channels.markdown import PARAGRAPH, Mark, Run, Style, literal, read, write

BOLD, ITALIC, STRIKE, CODE, QUOTE = (Style(mark) for mark in (Mark.BOLD, Mark.ITALIC, Mark.STRIKE, Mark.CODE, Mark.QUOTE))

prose = st.text(st.sampled_from("ab1 .,:;!?'\"()/%é°😀-+=\n"), max_size=40)
hostile = st.text(st.sampled_from("a b1*_~`[]()!<>#-+=|\\&;.\n\t\0"), max_size=60)


class Tags:
    """A dialect to look at."""

    def escape(self, text, styles):
        return text

    def opening(self, style):
        return f"<{style.mark}{' ' + style.argument if style.argument else ''}>"

    def closing(self, style):
        return f"</{style.mark}>"


def shown(text: str) -> str:
    return "".join(run.text for run in read(text))


def test_spans():
    assert read("**a** *b* ~~c~~ `d` e") == (
        Run("a", (BOLD,)),
        Run(" "),
        Run("b", (ITALIC,)),
        Run(" "),
        Run("c", (STRIKE,)),
        Run(" "),
        Run("d", (CODE,)),
        Run(" e"),
    )


def test_styles_nest_outermost_first():
    assert read("**bold *both***") == (Run("bold ", (BOLD,)), Run("both", (BOLD, ITALIC)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[Oslo](https://example.org/a?b=1&c=2)", (Run("Oslo", (Style(Mark.LINK, "https://example.org/a?b=1&c=2"),)),)),
        ("[](https://example.org)", (Run("https://example.org", (Style(Mark.LINK, "https://example.org"),)),)),
        ("![A map](https://example.org/m.png)", (Run("A map", (Style(Mark.LINK, "https://example.org/m.png"),)),)),
        ("![](https://example.org/m.png)", (Run("https://example.org/m.png", (Style(Mark.LINK, "https://example.org/m.png"),)),)),
        ("[x](javascript:alert)", (Run("[x](javascript:alert)"),)),
        ("# Title", (Run("Title", (BOLD,)),)),
        ("```python\nx = 1\n\ny = 2\n```", (Run("x = 1\n\ny = 2", (Style(Mark.PRE, "python"),)),)),
        ("> said", (Run("said", (QUOTE,)),)),
        ("> one\n>\n> two", (Run("one", (QUOTE,)), Run(PARAGRAPH, (QUOTE,)), Run("two", (QUOTE,)))),
        ("one\ntwo", (Run("one\ntwo"),)),
        ("one  \ntwo", (Run("one\ntwo"),)),
        ("one\n\n\n\ntwo", (Run("one"), Run(PARAGRAPH), Run("two"))),
        ("- a\n- b\n  - c\n- d", (Run("• a\n• b\n  • c\n• d"),)),
        ("- a\n\n- b", (Run("• a\n• b"),)),
        ("3. a\n4. b\n\nend", (Run("3. a\n4. b"), Run(PARAGRAPH), Run("end"))),
        ("a\n\n***\n\nb", (Run("a"), Run(PARAGRAPH), Run("———"), Run(PARAGRAPH), Run("b"))),
        ("<b>x</b> &amp; y", (Run("<b>x</b> & y"),)),
        ("a | b\n--|--\n1 | 2", (Run("a | b\n--|--\n1 | 2"),)),
        ("", ()),
    ],
)
def test_what_chats_can_show(text, expected):
    assert read(text) == expected


@pytest.mark.parametrize("text", ["#", ">", "[a]: https://example.org", "   ", "> " * 40 + "deep", "- " * 15 + "x"])
def test_what_markdown_would_swallow_stays(text):
    assert shown(text).strip() == text.strip() or "x" in shown(text)


@given(prose)
@example("a  b")
@example("1. a")
@example("a\n\n\nb")
@example(" a")
@example("a\n=")
@example("a\n\nb")
def test_the_short_way_reads_as_the_long_one(text):
    """Plain lines skip the parser; nobody may see that."""
    runs = tuple(markdown._merged(markdown._Walk().blocks(markdown._PARSER.parse(text))))
    if markdown._PLAIN.fullmatch(text):
        assert literal(text) == runs


@given(hostile)
def test_no_word_gets_lost(text):
    letters = re.findall(r"[ab]", text)
    assert [each for each in shown(text) if each in "ab"] == letters


@given(hostile)
def test_every_style_is_closed_in_order(text):
    opened: list[str] = []
    for end, mark in re.findall(r"«(/?)([a-z]+)[^»]*»", write(read(text), Quoted())):
        if not end:
            opened.append(mark)
        else:
            assert opened.pop() == mark
    assert not opened


class Quoted(Tags):
    """Tags that no text can hold."""

    def opening(self, style):
        return f"«{style.mark}»"

    def closing(self, style):
        return f"«/{style.mark}»"


def test_neighbours_share_what_they_have_in_common():
    runs = (Run("a", (BOLD,)), Run("b", (BOLD, ITALIC)), Run("c", (ITALIC,)), Run("d"))
    assert write(runs, Tags()) == "<bold>a<italic>b</italic></bold><italic>c</italic>d"


@pytest.mark.parametrize(
    "text", ["*" * 4096, "[" * 4096, "![" * 2048, "**a*" * 1024, "`" * 4095 + "a", ">" * 4096, "*a_ " * 1024]
)
def test_hostile_texts_are_read_in_time(text):
    assert shown(text)

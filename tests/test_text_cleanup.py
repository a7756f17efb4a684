"""Sanitising of upstream text: line breaks, unsafe characters, markup, clipping and speed."""

import re
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pace import AT_ONCE, at_once, timed

from bridge.html_text import plain
from bridge.text_cleanup import clip, folded, lines, one_line

bounded = settings(derandomize=True)

# Hostile texts: any characters, lone surrogates included, and fragments of markup.
anything = st.text(st.characters(codec=None, exclude_categories=()), max_size=60) | st.lists(
    st.sampled_from(
        "a b < > & ; # / ! - \" ' = \n \r \t \x00 \x0b \x85 \u2028 <p> </p> <br> <li> <!-- --> <a"
        " <script> </script> <![ ]]> <? &amp; &lt; &#0; &#x d800; \ud800 😀 \u200d \ufeff".split(
            " "
        )
    ),
    max_size=30,
).map("".join)

UNSAFE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


# Lines


@pytest.mark.parametrize(
    "line_break", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"], ids=ascii
)
def test_every_kind_of_line_break_becomes_a_newline(line_break: str) -> None:
    assert lines(f"one{line_break}two") == "one\ntwo"
    assert one_line(f"one{line_break}two") == "one two"


@pytest.mark.parametrize(
    "unsafe",
    [*map(chr, range(9)), "\x0e", *map(chr, range(0x10, 0x20)), "\x7f", "\ud800", chr(0xDFFF)],
    ids=ascii,
)
def test_characters_that_make_a_calendar_invalid_are_removed(unsafe: str) -> None:
    for clean in (lines, one_line, plain):
        assert clean(f"Yo{unsafe}ga") == "Yoga"


@pytest.mark.parametrize(
    "kept", ["Zoë", "ヨガ", "\u202bשלום\u202c", "👩‍🏫", "e\u0301", 'a;b,c\\d"e', "100 %", "ﬁ"]
)
def test_characters_of_names_are_kept(kept: str) -> None:
    for clean in (lines, one_line, plain):
        assert clean(kept) == kept


def test_redundant_blanks_and_empty_lines_are_removed() -> None:
    assert lines("  a \t b  \n\n \n\n\n c\u00a0d \n\n") == "a b\n\nc d"
    assert lines("a\nb\n\nc") == "a\nb\n\nc"


def test_one_line_joins_lines_and_strips_the_text() -> None:
    assert one_line(" \n a\n\n\tb \r\n") == "a b"
    assert one_line(" \x00\n ") == ""


@pytest.mark.parametrize("clean", [one_line, plain])
def test_a_short_text_is_cleaned_once_and_cached(clean: Callable[[str], str]) -> None:
    first, again = (clean("".join(["Bring  a mat ", "and <b>water</b>"])) for _ in range(2))
    assert first is again


@pytest.mark.parametrize("clean", [one_line, plain])
def test_a_long_text_is_not_cached(clean: Callable[[str], str]) -> None:
    first, again = (clean("Bring  a mat " * 400) for _ in range(2))
    assert first == again
    assert first is not again


@bounded
@given(anything)
@example("a\r\x00\nb")
@example("\n\x00\n\x00\n\x00\nb")
def test_lines_contain_nothing_unsafe_and_cleaning_is_idempotent(value: str) -> None:
    cleaned = lines(value)
    assert not UNSAFE.search(cleaned.replace("\n", ""))
    assert "\n\n\n" not in cleaned
    assert all(line == line.strip() for line in cleaned.split("\n"))
    assert cleaned == cleaned.strip()
    assert lines(cleaned) == cleaned
    assert len(one_line(value).splitlines()) <= 1
    assert one_line(one_line(value)) == one_line(value)


@bounded
@given(anything)
@example("<b>x</b><![foo bar]>y")
@example("<b>x</b><![<![")
@example("<!x y>&amp;<![if")
def test_no_markup_raises_an_error_or_yields_unsafe_text(value: str) -> None:
    cleaned = plain(value)
    assert not UNSAFE.search(cleaned.replace("\n", ""))
    assert lines(cleaned) == cleaned
    assert cleaned.encode("utf-8") is not None


# Markup


@pytest.mark.parametrize(
    "text",
    [
        "a < b and c > d",
        "I <3 yoga",
        "R&D, Q&A",
        "AT&T; 5 > 4",
        "one\ntwo\n\nthree",
        "-> here <-",
        "<>",
        "< p >",
        "&",
        "&;",
        "https://example.org/?a=1&b=2",
    ],
)
def test_plain_text_is_unchanged(text: str) -> None:
    assert plain(text) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("<p>One</p>\n<p>Two</p>\n", "One\n\nTwo"),
        ("<P CLASS='x'>One</P><P>Two", "One\n\nTwo"),
        ("a<br>b<br/>c<BR />d", "a\nb\nc\nd"),
        ("<div>a</div><div>b</div>", "a\n\nb"),
        ("<h2>Yoga</h2>Slow.", "Yoga\nSlow."),
        ("<b>bold</b>face <i>and</i> <em>more</em>", "boldface and more"),
        ("<p>one\n   line</p>", "one line"),
        ("x <a>link</a> y", "x link y"),
        ('<img src="x" onerror="alert(1)">Hi', "Hi"),
        ("<img alt='a>b'>c", "c"),
        ("Tom &amp; Jerry", "Tom & Jerry"),
        ("Tom &amp;amp; Jerry", "Tom &amp; Jerry"),
        ("&lt;b&gt; is bold", "<b> is bold"),
        ("Zo&euml; &#90;&#x6f;&#xeb;", "Zoë Zoë"),
        ("&nbsp;a&nbsp;&nbsp;b", "a b"),
        ("a<!-- hidden <b>x</b> -->b", "ab"),
        ("<b>a</b> 1 < 2 and 3 > 2", "a 1 < 2 and 3 > 2"),
        ("<b>a</b>\u2028b", "a b"),
    ],
)
def test_markup_is_converted_to_the_visible_text(html: str, text: str) -> None:
    assert re.sub(r"\n+", "\n", plain(html)) == re.sub(r"\n+", "\n", text)


def test_paragraphs_are_separated_by_an_empty_line() -> None:
    assert plain("<p>One</p><p>Two</p>") == "One\n\nTwo"


def test_each_list_item_is_a_line() -> None:
    assert [
        line
        for line in plain("<p>Bring:</p><ul><li>mat</li><li>towel</li></ul>").split("\n")
        if line
    ] == ["Bring:", "- mat", "- towel"]


def test_table_cells_are_separated() -> None:
    table = "<table><tr><td>Mon</td><td>18:00</td></tr><tr><td>Tue</td><td>19:00</td></tr></table>"
    assert plain(table).split() == ["Mon", "18:00", "Tue", "19:00"]


@pytest.mark.parametrize("tag", ["script", "style", "template", "title"])
def test_invisible_elements_are_removed(tag: str) -> None:
    assert plain(f"<p>a</p><{tag}>if (1 < 2) hidden</{tag}><p>b</p>") == "a\n\nb"


@pytest.mark.parametrize("tag", ["script", "style", "template"])
def test_a_stray_end_tag_of_an_invisible_element_hides_nothing(tag: str) -> None:
    assert plain(f"</{tag}><p>a</p>") == "a"


@pytest.mark.parametrize("reference", ["&#0;", "&#x1f;", "&#xD800;", "&#127;", "&#8232;", "&#13;"])
def test_a_character_reference_yields_nothing_unsafe(reference: str) -> None:
    assert not UNSAFE.search(plain(f"<b>a</b>{reference}b").replace("\n", ""))


@pytest.mark.parametrize("reference", ["&#" + "9" * 5000 + ";", "&#x" + "f" * 5000 + ";"])
def test_a_reference_to_a_character_that_does_not_exist_is_harmless(reference: str) -> None:
    text = plain(f"<b>Yoga</b> {reference} for all")
    assert text.startswith("Yoga ")
    assert text.endswith(" for all")


# Clipping


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@bounded
@given(anything, st.integers(1, 40))
def test_a_clipped_text_is_the_text_or_its_beginning_with_an_ellipsis(
    value: str, limit: int
) -> None:
    clipped = clip(value, limit)
    assert units(clipped) <= limit
    if units(value) <= limit:
        assert clipped == value
    else:
        assert clipped.endswith("…")
        assert value.startswith(clipped[:-1])


def test_a_text_is_clipped_at_exactly_the_limit() -> None:
    assert clip("x" * 255, 255) == "x" * 255
    assert clip("x" * 256, 255) == "x" * 254 + "…"
    assert clip("😀" * 127 + "x", 255) == "😀" * 127 + "x"
    assert clip("😀" * 128, 255) == "😀" * 127 + "…"


def test_no_surrogate_pair_is_split() -> None:
    # one unit is left before the ellipsis, but the last smiley needs two
    assert clip("x" + "😀" * 127 + "y", 255) == "x" + "😀" * 126 + "…"


@pytest.mark.parametrize("tail", ["\u200d", "\ufe0f", " "])
def test_nothing_combines_with_the_ellipsis(tail: str) -> None:
    assert clip(f"abc{tail}def", 5) == "abc…"


# Time

SIZE = 100_000
UNITS = (
    "< <a </ </a & && ; &# &#x &#1 &a &amp &amp; &#38; <! <!a <!- <!-- <!--> --> <!----> <!doctype"
    " <? <?x <![ <![CDATA[ ]]> <b> </b> <p></p> <div><p> <li> <br/> <script <script> </script>"
    " <style> <title> <template> <textarea> <plaintext> <a/ <a/> = \" ' > - # a . é 😀 \u200d"
    " \ud800 \x00 \u2028 \x85"
).split(" ")
SPACED = (
    *(
        " ",
        "\n",
        "\r",
        "\r\n",
        "\t\n",
        " \n",
        "a ",
        "a\n",
        "\u00a0",
        "<a ",
        "<a\n",
        "<a b",
        "<a b ",
    ),
    *("<a b=", "<a b=c ", "<a b='", '<a b="', '<a b="c" ', "<a =", "<!-- x --", "<!-- x", "</a "),
    *('<a b="c"', "<a b=c/", "< a", "<a b b ", "<!doctype x [", "<!a -- ", "\\\n"),
)
# Some units are parsed as markup only after other markup.
PREFIXES = (
    "",
    "<b>x</b>",
    "&amp;",
    "<a ",
    '<a b="',
    "<!--",
    "<script>",
    "<![CDATA[",
    "<!doctype x [",
)


@pytest.mark.parametrize("clean", [lines, one_line], ids=lambda clean: clean.__name__)
def test_100_kb_of_any_text_are_cleaned_in_under_50_ms(clean: Callable[[str], str]) -> None:
    assert not _slow(clean, "")


@pytest.mark.parametrize("prefix", PREFIXES)
def test_100_kb_of_any_markup_are_converted_in_under_50_ms(prefix: str) -> None:
    assert not _slow(plain, prefix)


@pytest.mark.parametrize("unit", ["x", "😀", "\u200d", "\ud800", " ", "…"], ids=ascii)
def test_100_kb_of_anything_are_clipped_in_under_50_ms(unit: str) -> None:
    at_once(lambda: clip(unit * SIZE, 255))
    at_once(lambda: clip(unit * SIZE, SIZE // 2))


def test_deeply_nested_tags_are_converted_in_under_50_ms() -> None:
    for tag in ("div", "ul><li", "b", "script", "template"):
        value = f"<{tag}>" * 5_000 + "deep" + f"</{tag}>" * 5_000
        at_once(partial(plain, value))


@pytest.mark.parametrize(
    ("value", "letters"),
    [
        ("Łukasz", "lukasz"),
        ("Zoe\u0308", "zoe"),
        ("Größe", "grosse"),
        ("Sørensen & Ægir", "sorensen & aegir"),
        ("田中", "田中"),
    ],
)
def test_folded_names_have_no_case_and_no_accents(value: str, letters: str) -> None:
    assert folded(value) == letters


def _slow(clean: Callable[[str], str], prefix: str) -> dict[str, float]:
    """The units whose texts took too long, with the seconds."""
    slow = {}
    for unit in (*UNITS, *SPACED):
        value = (prefix + unit * SIZE)[:SIZE]
        seconds, _ = timed(partial(clean, value))
        if seconds >= AT_ONCE:
            slow[unit] = seconds
    return slow

"""What upstream writes, made fit for calendars, pages and terminals."""

import re
from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pace import AT_ONCE, at_once, timed

from bridge.text_cleanup import clip, folded, lines, one_line, plain

bounded = settings(max_examples=100, deadline=None, derandomize=True)

# Texts as hostile ones are: any character, also a lone surrogate, and much that means something.
anything = st.text(st.characters(codec=None, exclude_categories=()), max_size=60) | st.lists(
    st.sampled_from(
        "a b < > & ; # / ! - \" ' = \n \r \t \x00 \x0b \x85 \u2028 <p> </p> <br> <li> <!-- --> <a"
        " <script> </script> <![ ]]> <? &amp; &lt; &#0; &#x d800; \ud800 😀 \u200d \ufeff".split(
            " "
        )
    ),
    max_size=30,
).map("".join)

UNSAFE = re.compile(r"[\x00-\x09\x0b-\x1f\x7f\x85\u2028\u2029\ud800-\udfff]")


# Lines


@pytest.mark.parametrize(
    "mark", ["\n", "\r\n", "\r", "\x0b", "\x0c", "\x85", "\u2028", "\u2029"], ids=ascii
)
def test_whatever_some_reader_takes_for_the_end_of_a_line_is_one_newline(mark: str) -> None:
    assert lines(f"one{mark}two") == "one\ntwo"
    assert one_line(f"one{mark}two") == "one two"


@pytest.mark.parametrize(
    "unsafe",
    [*map(chr, range(9)), "\x0e", *map(chr, range(0x10, 0x20)), "\x7f", "\ud800", chr(0xDFFF)],
    ids=ascii,
)
def test_what_makes_a_reader_reject_the_calendar_is_taken_out(unsafe: str) -> None:
    for clean in (lines, one_line, plain):
        assert clean(f"Yo{unsafe}ga") == "Yoga"


@pytest.mark.parametrize(
    "kept", ["Zoë", "ヨガ", "\u202bשלום\u202c", "👩‍🏫", "e\u0301", 'a;b,c\\d"e', "100 %", "ﬁ"]
)
def test_what_names_are_written_with_is_kept(kept: str) -> None:
    for clean in (lines, one_line, plain):
        assert clean(kept) == kept


def test_blanks_are_not_ragged_and_empty_lines_are_not_many() -> None:
    assert lines("  a \t b  \n\n \n\n\n c\u00a0d \n\n") == "a b\n\nc d"
    assert lines("a\nb\n\nc") == "a\nb\n\nc"


def test_one_line_is_one_line_without_ends() -> None:
    assert one_line(" \n a\n\n\tb \r\n") == "a b"
    assert one_line(" \x00\n ") == ""


@pytest.mark.parametrize("clean", [one_line, plain])
def test_a_text_that_rows_repeat_is_cleaned_once(clean: Callable[[str], str]) -> None:
    first, again = (clean("".join(["Bring  a mat ", "and <b>water</b>"])) for _ in range(2))
    assert first is again


@pytest.mark.parametrize("clean", [one_line, plain])
def test_a_long_text_is_not_kept_in_memory(clean: Callable[[str], str]) -> None:
    first, again = (clean("Bring  a mat " * 400) for _ in range(2))
    assert first == again
    assert first is not again


@bounded
@given(anything)
@example("a\r\x00\nb")
@example("\n\x00\n\x00\n\x00\nb")
def test_lines_hold_nothing_unsafe_and_are_clean_at_once(value: str) -> None:
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
def test_no_markup_breaks_the_reader_and_none_brings_in_anything_unsafe(value: str) -> None:
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
def test_plain_text_stays_as_it_is(text: str) -> None:
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
        ('x <a href="https://example.org/?a=1&amp;b=2">link</a> y', "x link y"),
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
def test_markup_is_read_as_a_person_would_see_it(html: str, text: str) -> None:
    assert re.sub(r"\n+", "\n", plain(html)) == re.sub(r"\n+", "\n", text)


def test_paragraphs_stand_apart() -> None:
    assert plain("<p>One</p><p>Two</p>") == "One\n\nTwo"


def test_a_list_is_a_line_an_item() -> None:
    assert [
        line
        for line in plain("<p>Bring:</p><ul><li>mat</li><li>towel</li></ul>").split("\n")
        if line
    ] == ["Bring:", "- mat", "- towel"]


def test_the_cells_of_a_table_do_not_run_together() -> None:
    table = "<table><tr><td>Mon</td><td>18:00</td></tr><tr><td>Tue</td><td>19:00</td></tr></table>"
    assert plain(table).split() == ["Mon", "18:00", "Tue", "19:00"]


@pytest.mark.parametrize("tag", ["script", "style", "template", "title"])
def test_what_a_page_does_not_show_is_not_shown(tag: str) -> None:
    assert plain(f"<p>a</p><{tag}>if (1 < 2) hidden</{tag}><p>b</p>") == "a\n\nb"


@pytest.mark.parametrize("tag", ["script", "style", "template"])
def test_a_stray_end_of_what_is_hidden_hides_nothing(tag: str) -> None:
    assert plain(f"</{tag}><p>a</p>") == "a"


@pytest.mark.parametrize("reference", ["&#0;", "&#x1f;", "&#xD800;", "&#127;", "&#8232;", "&#13;"])
def test_a_reference_brings_in_nothing_unsafe(reference: str) -> None:
    assert not UNSAFE.search(plain(f"<b>a</b>{reference}b").replace("\n", ""))


@pytest.mark.parametrize("reference", ["&#" + "9" * 5000 + ";", "&#x" + "f" * 5000 + ";"])
def test_a_reference_to_a_character_that_there_is_not_breaks_nothing(reference: str) -> None:
    text = plain(f"<b>Yoga</b> {reference} for all")
    assert text.startswith("Yoga ")
    assert text.endswith(" for all")


# Clipping


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@bounded
@given(anything, st.integers(1, 40))
def test_a_clipped_text_is_the_text_or_the_beginning_of_it_with_the_mark(
    value: str, most: int
) -> None:
    clipped = clip(value, most)
    assert units(clipped) <= most
    if units(value) <= most:
        assert clipped == value
    else:
        assert clipped.endswith("…")
        assert value.startswith(clipped[:-1])


def test_a_text_is_clipped_to_the_last_unit_and_not_before() -> None:
    assert clip("x" * 255, 255) == "x" * 255
    assert clip("x" * 256, 255) == "x" * 254 + "…"
    assert clip("😀" * 127 + "x", 255) == "😀" * 127 + "x"
    assert clip("😀" * 128, 255) == "😀" * 127 + "…"


def test_no_character_is_cut_in_half() -> None:
    # 254 units are left, and the last smiley would need the 254th and the 255th
    assert clip("x" + "😀" * 127 + "y", 255) == "x" + "😀" * 126 + "…"


@pytest.mark.parametrize("tail", ["\u200d", "\ufe0f", " "])
def test_the_mark_stands_alone(tail: str) -> None:
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
# The second half of a shape is read as markup only where markup stands before it.
BEFORE = (
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
def test_100_kb_of_any_text_are_read_in_under_50_ms(clean: Callable[[str], str]) -> None:
    assert not _slow(clean, "")


@pytest.mark.parametrize("before", BEFORE)
def test_100_kb_of_any_markup_are_read_in_under_50_ms(before: str) -> None:
    assert not _slow(plain, before)


@pytest.mark.parametrize("unit", ["x", "😀", "\u200d", "\ud800", " ", "…"], ids=ascii)
def test_100_kb_of_anything_are_clipped_in_under_50_ms(unit: str) -> None:
    at_once(lambda: clip(unit * SIZE, 255))
    at_once(lambda: clip(unit * SIZE, SIZE // 2))


def test_deeply_nested_tags_are_read_in_under_50_ms() -> None:
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
def test_names_are_in_order_without_their_case_and_accents(value: str, letters: str) -> None:
    assert folded(value) == letters


def _slow(clean: Callable[[str], str], before: str) -> dict[str, float]:
    """What took too long, with its time."""
    slow = {}
    for unit in (*UNITS, *SPACED):
        value = (before + unit * SIZE)[:SIZE]
        spent, _ = timed(partial(clean, value))
        if spent >= AT_ONCE:
            slow[unit] = spent
    return slow

"""HTML from upstream becomes plain text, and nothing that people wrote is lost."""

import pytest

from bridge.html_text import plain, unescape


@pytest.mark.parametrize(
    ("html", "text"),
    [
        (
            '<a href="https://studio.example/waiver">Sign the waiver</a> first',
            "Sign the waiver (https://studio.example/waiver) first",
        ),
        (
            "<A HREF=https://x.example/a?b=1&amp;c=2>Book </A>now",
            "Book (https://x.example/a?b=1&c=2) now",
        ),
        (
            '<ul><li><a href="https://a.example/1">one</a></li><li>two</li></ul>',
            "- one (https://a.example/1)\n- two",
        ),
        ('<a href="https://x.example/p"><img src="1.png"></a>Hi', "https://x.example/p Hi"),
        ('<a href="mailto:anna@x.example?subject=Hi">Anna</a>', "Anna (anna@x.example)"),
        ('<p><a href="https://x.example/1">a</a></p><p>b</p>', "a (https://x.example/1)\n\nb"),
    ],
)
def test_the_address_of_a_link_follows_its_text(html: str, text: str) -> None:
    assert plain(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<details><summary>Level</summary>Beginners</details>", "Level\nBeginners"),
        ("<center>Bring a mat</center>Wear socks", "Bring a mat\nWear socks"),
        ("<figure>Hall<figcaption>Upstairs</figcaption></figure>", "Hall\nUpstairs"),
        ("<fieldset><legend>Note</legend>Be early</fieldset>", "Note\nBe early"),
        ("<pre>Mon\n  <b>Tue\nWed</b></pre>\nand\nSun", "Mon\nTue\nWed\nand Sun"),
    ],
)
def test_words_of_different_lines_stay_on_lines_of_their_own(html: str, text: str) -> None:
    assert plain(html) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ('<a href="https://x.example/">https://x.example/</a>!', "https://x.example/!"),
        ('<a href="https://x.example/">X.example</a>', "X.example"),
        ('<a href="mailto:anna@x.example">anna@x.example</a>', "anna@x.example"),
    ],
)
def test_an_address_that_is_its_own_text_stands_there_once(html: str, text: str) -> None:
    assert plain(html) == text


@pytest.mark.parametrize(
    "href",
    [
        "javascript:alert(1)",
        "/p/1",
        "https://user:secret@x.example/",
        "data:text/html,x",
        "https://x.example/<b>",
        "",
    ],
)
def test_only_plain_web_and_mail_addresses_are_added(href: str) -> None:
    assert plain(f'<a href="{href}">text</a>') == "text"


@pytest.mark.parametrize(
    "text",
    [
        "Book at <https://studio.example/x> or mail <anna@studio.example> first",
        "Bring <your own> mat",
        "a < b and b > c",
        "<3 yoga",
        "level<1>",
        "x <b",
        "<",
    ],
)
def test_what_is_in_angle_brackets_and_no_element_stays(text: str) -> None:
    assert plain(text) == text
    assert plain(f"<p>{text}</p>".replace("<b</p>", "&lt;b</p>")) == text


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<o:p>from Word</o:p>", "from Word"),
        ("<!-- hidden -->shown", "shown"),
        ("<B>bold</B><BR/>next", "bold\nnext"),
        ("<!DOCTYPE html><p>page</p>", "page"),
    ],
)
def test_elements_and_comments_go(html: str, text: str) -> None:
    assert plain(html) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Café &amp; Gym", "Café & Gym"),
        ("Tom &#39;n&#39; Jo", "Tom 'n' Jo"),
        ("A &lt;3 B", "A <3 B"),
        ("&amp;amp;", "&amp;"),
        ("R&B; Soul", "R&B; Soul"),
        ("R&B", "R&B"),
        ("<b>a &amp; b</b>", "<b>a &amp; b</b>"),
    ],
)
def test_character_references_in_plain_text_are_resolved_once(name: str, text: str) -> None:
    assert unescape(name) == text


@pytest.mark.parametrize(
    "hostile",
    ["<" * 100_000, "<a href='https://x.example/'>" * 5_000, "&amp;" * 20_000, "<a " * 30_000],
)
def test_hostile_markup_is_bounded(hostile: str) -> None:
    assert len(plain(hostile)) <= len(hostile)
    assert len(unescape(hostile)) <= len(hostile)

"""The changes of a feed as an Atom feed (RFC 4287), for feed readers."""

import re
import uuid
from datetime import UTC, datetime
from xml.etree import ElementTree

from bridge.feeds.change_text import change_text
from bridge.feeds.changes import SessionChange
from bridge.feeds.event_text import local_time, place_text
from bridge.feeds.formats.base import Content, Format
from bridge.feeds.spec import session_path
from bridge.times import utc_text

_ATOM = "http://www.w3.org/2005/Atom"
_NAMESPACE = uuid.UUID("c0a0a4b6-3f58-4f8e-8a7b-1d2e7a3b9c55")
# Before the first change: the feed must not differ between two requests.
_NO_CHANGES = datetime(2026, 1, 1, tzinfo=UTC)
# Characters that XML 1.0 does not allow (clause 2.2).
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(content: Content) -> bytes:
    """The feed in UTF-8, newest entry first; it has absolute links only with a base URL."""
    spec, language = content.spec, content.spec.language
    feed = ElementTree.Element("feed", {"xmlns": _ATOM, "xml:lang": language.tag})
    # Unique in the world (RFC 4287, 4.2.6): each bridge has a feed of "/venues/1".
    name = f"{content.base_url} {spec.name}" if content.base_url else spec.name
    _add(feed, "id", uuid.uuid5(_NAMESPACE, name).urn)
    _add(feed, "title", language.plain("changes_title", name=content.name))
    newest = content.changes[0].at if content.changes else _NO_CHANGES
    _add(feed, "updated", utc_text(newest))
    author = ElementTree.SubElement(feed, "author")
    _add(author, "name", content.subject.name)
    if content.base_url and not spec.audience.private:
        _link(feed, "self", content.base_url + spec.path("/changes.atom"), "application/atom+xml")
        _link(feed, "alternate", content.base_url + spec.path("/changes"), "text/html")
    for change in content.changes:
        _add_entry(feed, change, content)
    return bytes(ElementTree.tostring(feed, encoding="utf-8", xml_declaration=True)) + b"\n"


def _add_entry(feed: ElementTree.Element, change: SessionChange, content: Content) -> None:
    language = content.spec.language
    session = change.after.session
    entry = ElementTree.SubElement(feed, "entry")
    _add(entry, "id", change.id.urn)
    _add(entry, "title", change_text(change, language))
    _add(entry, "updated", utc_text(change.at))
    if content.base_url and not content.spec.audience.private:
        path = session_path(session) if change.is_listed else content.spec.path("/changes")
        _link(entry, "alternate", content.base_url + path, "text/html")
    names = ", ".join(person.name for person in session.instructors if person.name)
    lines = (
        session.title,
        local_time(session, language, session.start),
        place_text(change.after),
        names,
    )
    _add(entry, "content", "\n".join(filter(None, lines)), type="text")


def _add(parent: ElementTree.Element, name: str, text: str, **attributes: str) -> None:
    ElementTree.SubElement(parent, name, attributes).text = _NOT_XML.sub("", text)


def _link(parent: ElementTree.Element, relation: str, address: str, kind: str) -> None:
    ElementTree.SubElement(parent, "link", {"rel": relation, "href": address, "type": kind})


FORMAT = Format(
    suffix="atom",
    media_type="application/atom+xml; charset=utf-8",
    render=render,
    of_changes=True,
)

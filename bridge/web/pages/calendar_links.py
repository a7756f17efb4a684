"""Links that put a feed, or one class, into a calendar; and the same as a QR code."""

import io
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode, urlsplit

import segno

from bridge.feeds.selection import SessionView
from bridge.feeds.spec import FeedSpec
from bridge.text_cleanup import clip
from bridge.web.feed_responses import slug

GOOGLE_BY_URL = "https://calendar.google.com/calendar/u/0/r/settings/addbyurl"
# Google cuts an address at some thousands of characters; the description is what may be long.
_DETAILS = 500
_HEIGHT = 600


def path(spec: FeedSpec, name: str, extension: str = "") -> str:
    """The path of a feed or of its page, with *name* in it for people."""
    plain = spec.path(extension)
    tail = slug(name)
    if spec.identity is None or not tail:
        return plain
    head = f"/{spec.kind.value}/{spec.identity}"
    return f"{head}-{tail}{plain.removeprefix(head)}"


@dataclass(frozen=True, slots=True)
class CalendarLinks:
    """A feed's address, as each calendar wants it.

    Attributes:
        address: of the feed, http or https.
        name: what the calendar is to be called.
    """

    address: str
    name: str

    @classmethod
    def of(cls, base: str, spec: FeedSpec, name: str) -> "CalendarLinks":
        """That of a feed below the address *base*."""
        return cls(base + path(spec, name, ".ics"), name)

    @property
    def apple(self) -> str:
        """For Apple's calendar, and for programs on a desktop."""
        return "webcal://" + self.address.partition("://")[2]

    @property
    def google(self) -> str:
        """Google's own page. Reports of it failing conflict: :data:`GOOGLE_BY_URL` belongs by."""
        return f"https://calendar.google.com/calendar/r?cid={_encoded(self.apple)}"

    @property
    def outlook(self) -> str:
        """For Outlook.com."""
        return f"https://outlook.live.com{self._add_from_web}"

    @property
    def microsoft(self) -> str:
        """For Microsoft 365."""
        return f"https://outlook.office.com{self._add_from_web}"

    @property
    def _add_from_web(self) -> str:
        url, name = _encoded(self.address), _encoded(self.name)
        return f"/calendar/0/addfromweb/?url={url}&name={name}"


def google_event(one: SessionView) -> str:
    """Google's form, filled in with one session."""
    session = one.session
    # Google wants an end; where none is known, an hour is what it would assume itself.
    end = session.end or session.start + timedelta(hours=1)
    names = ", ".join(who.name for who in session.instructors if who.name)
    about = session.offering_type.description if session.offering_type else ""
    details = "\n\n".join(filter(None, (names, session.booking_url, clip(about, _DETAILS))))
    query = {
        "action": "TEMPLATE",
        "dates": f"{_compact(session.start)}/{_compact(end)}",
        "text": one.summary,
        "location": session.venue.location if session.venue else "",
        "details": details,
    }
    pairs = urlencode(query, quote_via=quote, safe="")
    return f"https://calendar.google.com/calendar/render?{pairs}"


def qr_code(address: str) -> str:
    """An SVG of *address*, to stand in a page; its colours are the stylesheet's."""
    out = io.BytesIO()
    segno.make(address, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=False, svgclass="qr", lineclass=None, omitsize=True,
        dark="#000", light="#fff", border=3, nl=False,
    )  # fmt: skip
    return out.getvalue().decode()


def embed_snippet(base: str, embed_path: str, title: str) -> str:
    """The lines that a site's owner pastes: a frame, and the optional script."""
    frame = (
        f'<iframe src="{_attribute(base + embed_path)}" title="{_attribute(title)}"'
        f' width="100%" height="{_HEIGHT}" loading="lazy" style="border:0"></iframe>'
    )
    return f'{frame}\n<script src="{_attribute(base)}/embed.js" async></script>'


def host_of(address: str) -> str:
    """The host in *address*, to be read by people."""
    return urlsplit(address).netloc


def _attribute(text: str) -> str:
    return text.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")


def _compact(at: datetime) -> str:
    return at.strftime("%Y%m%dT%H%M%SZ")


def _encoded(text: str) -> str:
    return quote(text, safe="")

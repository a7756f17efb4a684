"""Links that add a feed or a single class to a calendar, and QR codes."""

import io
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

import segno

from bridge.feeds.event_text import title
from bridge.feeds.session_view import SessionView
from bridge.feeds.spec import FeedSpec
from bridge.languages import Language
from bridge.text_cleanup import clip
from bridge.web.feed_responses import slug

GOOGLE_BY_URL = "https://calendar.google.com/calendar/u/0/r/settings/addbyurl"
# Google truncates addresses after some thousand characters; only the description can be that long.
_MAX_DETAILS = 500
_MAX_QR_CODE = 500


def path(spec: FeedSpec, name: str, extension: str = "") -> str:
    """The path of a feed or of its page, with a slug of *name*."""
    plain = spec.path(extension)
    name_slug = slug(name)
    if spec.identity is None or not name_slug:
        return plain
    prefix = f"/{spec.kind.value}/{spec.identity}"
    return f"{prefix}-{name_slug}{plain.removeprefix(prefix)}"


@dataclass(frozen=True, slots=True)
class CalendarLinks:
    """The links for subscribing to a feed, one for each calendar.

    Attributes:
        address: the feed's address, http or https; that of a private feed is a secret.
        name: the name for the calendar.
    """

    address: str = field(repr=False)
    name: str

    @property
    def apple(self) -> str:
        """For Apple Calendar and for desktop programs."""
        return "webcal://" + self.address.partition("://")[2]

    @property
    def google(self) -> str:
        """For Google. It fails for some users, so pages also show :data:`GOOGLE_BY_URL`."""
        return f"https://calendar.google.com/calendar/r?cid={_percent_encoded(self.apple)}"

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
        url, name = _percent_encoded(self.address), _percent_encoded(self.name)
        return f"/calendar/0/addfromweb/?url={url}&name={name}"


def mail(subject: str, address: str) -> str:
    """A link that starts a mail with the address of a page, for another device (RFC 6068)."""
    return f"mailto:?subject={_percent_encoded(subject)}&body={_percent_encoded(address)}"


def google_event(view: SessionView, language: Language) -> str:
    """A link to Google's event form, filled in with a session."""
    session = view.session
    # Google requires an end; without one it would assume an hour itself.
    end = session.end or session.start + timedelta(hours=1)
    names = ", ".join(person.name for person in session.instructors if person.name)
    about = clip(session.description, _MAX_DETAILS)
    details = "\n\n".join(filter(None, (names, session.booking_url, about)))
    query = {
        "action": "TEMPLATE",
        "dates": f"{_basic_format(session.start)}/{_basic_format(end)}",
        "text": title(view, language),
        "location": session.location,
        "details": details,
    }
    pairs = urlencode(query, quote_via=quote, safe="")
    return f"https://calendar.google.com/calendar/render?{pairs}"


def qr_code(address: str) -> str | None:
    """A QR code of *address* as inline SVG; the style sheet sets its colours.

    None if the address is so long that a phone could hardly read the code from a screen.
    """
    if len(address) > _MAX_QR_CODE:
        return None
    out = io.BytesIO()
    segno.make(address, error="m", micro=False).save(
        out, kind="svg", xmldecl=False, svgns=False, svgclass="qr", lineclass=None, omitsize=True,
        dark="#000", light="#fff", border=3, nl=False,
    )  # fmt: skip
    return out.getvalue().decode()


def _basic_format(at: datetime) -> str:
    return at.strftime("%Y%m%dT%H%M%SZ")


def _percent_encoded(text: str) -> str:
    return quote(text, safe="")

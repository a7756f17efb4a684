"""Families of clients: who reads a calendar, told by what it calls itself."""

import re
from functools import lru_cache

FAMILIES = ("google", "apple", "outlook", "thunderbird", "browsers", "others")

# What they send, seen in logs: "Google-Calendar-Importer", "iOS/18.0 (22A3354) dataaccessd/1.0",
# "macOS/13.4 (22F66) dataaccessd/1.0", "Mac+OS+X/10.10.5 (14F27) CalendarAgent/316.1",
# "CalendarStore/5.0 (1127); iCal/5.0 (1535); Mac OS X/10.7.1 (11B26)",
# "Microsoft Exchange/15.20 (Windows NT 10.0; Win64; x64)",
# "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.16327; Pro)",
# "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; …; ms-office; MSOffice 16)",
# "Microsoft-MacOutlook/16.70.23021201", "Mozilla/5.0 (…) Gecko/20100101 Thunderbird/128.0".
# Many call themselves Mozilla too, so browsers come last.
_SIGNS = (
    ("google", re.compile(r"google-calendar")),
    ("thunderbird", re.compile(r"thunderbird/|lightning/|betterbird/")),
    ("outlook", re.compile(r"outlook|microsoft exchange|microsoft office|ms-office|msoffice")),
    ("apple", re.compile(r"dataaccessd|calendaragent|calendarstore|\bical/")),
    ("others", re.compile(r"bot\b|crawl|spider|headless|compatible;(?! msie)")),
    ("browsers", re.compile(r"\A(?:mozilla|opera)/")),
)
_LONGEST = 300


def family(user_agent: str) -> str:
    """One of :data:`FAMILIES`.

    Args:
        user_agent: the header as it came; it is neither kept nor told.
    """
    return _family(user_agent[:_LONGEST])


# As many as are in use at a time; a flood of made-up ones costs a search each.
@lru_cache(maxsize=512)
def _family(user_agent: str) -> str:
    said = user_agent.lower()
    return next((name for name, sign in _SIGNS if sign.search(said)), "others")

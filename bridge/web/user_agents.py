"""Classification of clients into families by their User-Agent."""

import re
from functools import lru_cache

SERVERS = ("google", "exchange")
"""Families whose requests come from a vendor's servers, at times that the vendor chooses and once
for all of its users: they tell nothing about a person. ``exchange`` is Outlook.com and Microsoft
365; ``outlook`` is the program on somebody's computer."""

FAMILIES = (*SERVERS, "apple", "outlook", "thunderbird", "browsers", "others")

# User agents seen in logs: "Google-Calendar-Importer", "iOS/18.0 (22A3354) dataaccessd/1.0",
# "macOS/13.4 (22F66) dataaccessd/1.0", "Mac+OS+X/10.10.5 (14F27) CalendarAgent/316.1",
# "CalendarStore/5.0 (1127); iCal/5.0 (1535); Mac OS X/10.7.1 (11B26)",
# "Microsoft Exchange/15.20 (Windows NT 10.0; Win64; x64)",
# "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.16327; Pro)",
# "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; …; ms-office; MSOffice 16)",
# "Microsoft-MacOutlook/16.70.23021201", "Mozilla/5.0 (…) Gecko/20100101 Thunderbird/128.0".
# Browsers are last, because many other clients also start with "Mozilla".
_PATTERNS = (
    ("google", re.compile(r"google-calendar")),
    ("thunderbird", re.compile(r"thunderbird/|lightning/|betterbird/")),
    ("exchange", re.compile(r"microsoft exchange")),
    ("outlook", re.compile(r"outlook|microsoft office|ms-office|msoffice")),
    ("apple", re.compile(r"dataaccessd|calendaragent|calendarstore|\bical/")),
    ("others", re.compile(r"bot\b|crawl|spider|headless|compatible;(?! msie)")),
    ("browsers", re.compile(r"\A(?:mozilla|opera)/")),
)
_MAX_LENGTH = 300


def family(user_agent: str) -> str:
    """The client's family, one of :data:`FAMILIES`.

    Args:
        user_agent: the value of the header; it is not stored.
    """
    return _family(user_agent[:_MAX_LENGTH])


# Enough for the user agents in use at a time.
@lru_cache(maxsize=512)
def _family(user_agent: str) -> str:
    lower = user_agent.lower()
    return next((name for name, pattern in _PATTERNS if pattern.search(lower)), "others")

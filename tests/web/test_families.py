"""Families of clients, by the User-Agent strings of real clients."""

import pytest
from pace import at_once

from bridge.web.user_agents import FAMILIES, family

SEEN = {
    "Google-Calendar-Importer": "google",
    "iOS/18.0 (22A3354) dataaccessd/1.0": "apple",
    "iOS/6.1.3 (10B329) dataaccessd/1.0": "apple",
    "macOS/13.4 (22F66) dataaccessd/1.0": "apple",
    "macOS/11.0 (20A5343i) CalendarAgent/950": "apple",
    "Mac+OS+X/10.10.5 (14F27) CalendarAgent/316.1": "apple",
    "CalendarStore/5.0 (1127); iCal/5.0 (1535); Mac OS X/10.7.1 (11B26)": "apple",
    "DAVKit/4.0.3 (732.2); CalendarStore/4.0.4 (997.7); iCal/4.0.4 (1395.7)": "apple",
    "Microsoft Exchange/15.20 (Windows NT 10.0; Win64; x64)": "exchange",
    "Microsoft Office/16.0 (Windows NT 10.0; Microsoft Outlook 16.0.16327; Pro)": "outlook",
    "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; ms-office; MSOffice 16)": "outlook",
    "Microsoft-MacOutlook/16.70.23021201": "outlook",
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Thunderbird/128.0": "thunderbird",
    "Mozilla/5.0 (Windows NT 6.1; rv:24.0) Gecko/20100101 Thunderbird/24.6.0 Lightning/2.6.6": (
        "thunderbird"
    ),
    "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": "browsers",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like"
    " Gecko) Version/18.0 Mobile/15E148 Safari/604.1": "browsers",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0": "browsers",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)": "others",
    "ICSx5/2.4.3 (ical4j/3.2.19 okhttp/5.3.2 Android/16)": "others",
    "Evolution/3.60.2": "others",
    "python-requests/2.32": "others",
    "curl/8.4.0": "others",
    "": "others",
}


@pytest.mark.parametrize(("user_agent", "expected"), SEEN.items())
def test_real_user_agents_are_classified(user_agent: str, expected: str) -> None:
    assert family(user_agent) == expected
    assert family(user_agent.upper()) == expected
    assert expected in FAMILIES


@pytest.mark.parametrize("piece", ["mozilla/", "compatible; ", "bot", "\x00", "(", "i"])
def test_long_user_agents_are_classified_without_delay(piece: str) -> None:
    assert at_once(lambda: family(piece * 20_000)) in FAMILIES

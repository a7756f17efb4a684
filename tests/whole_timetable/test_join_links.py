"""Links to meeting services are in nothing public, however they were pasted."""

from datetime import timedelta
from typing import Any

import pytest
from clocks import ManualClock
from whole_timetable import rows
from whole_timetable.bridges import Build, assert_no_canary
from whole_timetable.rows import FIRST_ID, NOW, offering_type, room, venue
from whole_timetable.teamup import FakeTeamUp

ZOOM = "https://us02web.zoom.us/j/canary-join?pwd=secret"
PASTED = (
    ZOOM,
    ZOOM.upper(),
    "zoom.us/j/canary-join",
    "Zoom:zoom.us/j/canary-join",
    "https://us02web.zoom.us:443/j/canary-join",
    "https://zoom.com/j/canary-join",
    "https://app.zoom.us/wc/join/canary-join",
    "zoommtg://zoom.us/join?confno=canary-join",
    "https://host@zoom.us/j/canary-join",
    "https:&#47;&#47;zoom.us&#47;j&#47;canary-join",
    f'<p>Live: <a href="{ZOOM}">join</a></p>',
    f'<a href="{ZOOM}">{ZOOM}</a>',
    "https://studio.webex.com/studio/j.php?MTID=canary-join",
    "https://whereby.com/canary-join",
    "https://meet.google.com/canary-join",
    "https://g.co/meet/canary-join",
    "https://teams.live.com/meet/canary-join",
    "https://teams.microsoft.com/meet/1?p=canary-join",
    "https://teams.cloud.microsoft/meet/1?p=canary-join",
    # As mail programs rewrite what is copied from them.
    "https://www.google.com/url?q=https://us02web.zoom.us/j/canary-join&sa=D",
    "https://www.google.com/url?q=https%3A%2F%2Fus02web.zoom.us%2Fj%2Fcanary-join&sa=D",
    "https://eu.safelinks.protection.outlook.com/?url=https%3A%2F%2Fteams.live.com%2Fcanary-join",
)
PLACES: dict[str, dict[str, Any]] = {
    "the class's name": {"name": f"Stretch {ZOOM}"},
    "the type's name": {"name": None, "offering_type": offering_type(31, f"Stretch {ZOOM}")},
    "the type's description": {
        "description": "",
        "offering_type": offering_type(31, "Stretch", description=ZOOM),
    },
    "the venue's name": {"venue": venue(13, f"Online {ZOOM}", "Europe/London")},
    "the venue's address": {"venue": venue(13, "Online", "Europe/London", address=ZOOM)},
    "the room's name": {"venue_room": room(131, ZOOM)},
}
PATHS = (
    *("/sessions.ics", "/sessions.json", "/sessions.txt", "/sessions", "/", "/embed/sessions"),
    *(f"/classes/{FIRST_ID}", f"/classes/{FIRST_ID}.ics"),
)


@pytest.mark.parametrize("text", PASTED)
def test_a_link_in_a_description_is_taken_out(
    teamup: FakeTeamUp, build: Build, clock: ManualClock, text: str
) -> None:
    description = f"Bring a mat. {text}"
    start = NOW + timedelta(hours=3)
    teamup.events.rows = [rows.class_row(FIRST_ID, start, description=description)]
    site = build(teamup, clock)
    assert "Bring a mat." in site.ok("/sessions.ics").text
    assert_no_canary({path: site.ok(path).text for path in PATHS})
    # Whoever may have it still gets it.
    private = site.private("public", join_links=True)
    assert "canary-join" in site.ok(f"{private}.json").text.lower()


@pytest.mark.parametrize("fields", PLACES.values(), ids=PLACES)
def test_a_link_in_another_text_is_taken_out(
    teamup: FakeTeamUp, build: Build, clock: ManualClock, fields: dict[str, Any]
) -> None:
    teamup.events.rows = [rows.class_row(FIRST_ID, NOW + timedelta(hours=3), **fields)]
    site = build(teamup, clock)
    assert_no_canary({path: site.ok(path).text for path in PATHS})

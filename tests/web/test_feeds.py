"""Feeds as a client fetches them."""

from icalendar import Calendar


def test_a_venues_feed_holds_the_studios_public_sessions_there(client, studio):
    response = client.get("/venues/12.ics")
    assert response.status_code == 200
    events = Calendar.from_ical(response.data).walk("VEVENT")
    assert len(events) > 20
    assert all("Riverside" in str(event["LOCATION"]) for event in events)

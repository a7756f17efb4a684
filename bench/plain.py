"""The peer: a bridge as one writes it in an afternoon, with Flask, icalendar and a TTLCache."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from cachetools import TTLCache, cached
from flask import Flask, Response
from icalendar import Calendar, Event, vGeo

app = Flask(__name__)
rows: TTLCache[Any, list[dict[str, Any]]] = TTLCache(maxsize=100, ttl=300)


@cached(rows)
def sessions(until: str) -> list[dict[str, Any]]:
    """What upstream has, all pages of it."""
    found: list[dict[str, Any]] = []
    page = 1
    while True:
        answer = requests.get(
            f"{os.environ['TEAMUP_BASE_URL']}/course_sessions",
            headers={"Authorization": f"Bearer {os.environ['TEAMUP_API_TOKEN']}"},
            params={
                "page": str(page),
                "page_size": "100",
                "sort": "start",
                "starts_at_lte": until,
                "status": "active,cancelled",
                "expand": "venue,instructors,course.offering_type.category",
            },
            timeout=30,
        ).json()
        found += answer["results"]
        if not answer["next"]:
            return found
        page += 1


@app.get("/<int:days>.ics")
def feed(days: int) -> Response:
    """The calendar of the next *days* days."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found = sessions((midnight + timedelta(days=days + 1)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    return Response(calendar(found), content_type="text/calendar; charset=utf-8")


def calendar(found: list[dict[str, Any]]) -> bytes:
    """The calendar of these rows, with the properties that the bridge's has."""
    made = Calendar()
    made.add("version", "2.0")
    made.add("prodid", "-//plain//EN")
    for row in found:
        made.add_component(event(row))
    return bytes(made.to_ical())


def event(row: dict[str, Any]) -> Event:
    """One event."""
    venue, course = row["venue"], row["course"]
    kind = course["offering_type"]
    people = ", ".join(one["name"] for one in row["instructors"])
    title = row["name"] or course["name"]
    stamp = datetime(2026, 1, 1, tzinfo=UTC)
    made = Event()
    made.add("uid", f"{row['id']}@plain.example.org")
    for name in ("dtstamp", "created", "last-modified"):
        made.add(name, stamp)
    made.add("sequence", 1)
    made.add("dtstart", datetime.fromisoformat(row["starts_at"].replace("Z", "+00:00")))
    made.add("dtend", datetime.fromisoformat(row["ends_at"].replace("Z", "+00:00")))
    made.add("summary", f"{title} – {people}")
    made.add("status", "CONFIRMED" if row["status"] == "active" else "CANCELLED")
    made.add("transp", "TRANSPARENT")
    made.add("x-microsoft-cdo-busystatus", "FREE")
    made.add("location", f"{venue['name']}, {venue['address']}")
    made.add("geo", vGeo((venue["lat"], venue["lng"])))
    place = {"VALUE": "URI", "X-APPLE-RADIUS": "100", "X-TITLE": venue["name"]}
    geo = f"geo:{venue['lat']},{venue['lng']}"
    made.add("x-apple-structured-location", geo, parameters=place)
    booking = f"https://goteamup.com{row['customer_url']}"
    about = "Bring a mat, a towel, water and a warm layer for the end."
    made.add("description", f"Instructor: {people}\nBook: {booking}\n\n{about}")
    made.add("url", booking)
    made.add("categories", [kind["category"]["name"]])
    return made

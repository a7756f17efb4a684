"""A minimal bridge for comparison, with Flask, icalendar and a TTLCache."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from cachetools import TTLCache, cached
from flask import Flask, Response
from icalendar import Calendar, Event, vGeo

app = Flask(__name__)
_cache: TTLCache[Any, list[dict[str, Any]]] = TTLCache(maxsize=100, ttl=300)


@cached(_cache)
def sessions(until: str) -> list[dict[str, Any]]:
    """The rows of all pages."""
    rows: list[dict[str, Any]] = []
    page = 1
    while True:
        body = requests.get(
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
        rows += body["results"]
        if not body["next"]:
            return rows
        page += 1


@app.get("/<int:days>.ics")
def feed(days: int) -> Response:
    """The calendar of the next *days* days."""
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    rows = sessions((midnight + timedelta(days=days + 1)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    return Response(calendar(rows), content_type="text/calendar; charset=utf-8")


def calendar(rows: list[dict[str, Any]]) -> bytes:
    """The calendar of these rows, with the same properties as the bridge's."""
    result = Calendar()
    result.add("version", "2.0")
    result.add("prodid", "-//plain//EN")
    for row in rows:
        result.add_component(event(row))
    return bytes(result.to_ical())


def event(row: dict[str, Any]) -> Event:
    """The event of one row."""
    venue, course = row["venue"], row["course"]
    offering_type = course["offering_type"]
    instructors = ", ".join(instructor["name"] for instructor in row["instructors"])
    title = row["name"] or course["name"]
    stamp = datetime(2026, 1, 1, tzinfo=UTC)
    result = Event()
    result.add("uid", f"{row['id']}@plain.example.org")
    for name in ("dtstamp", "created", "last-modified"):
        result.add(name, stamp)
    result.add("sequence", 1)
    result.add("dtstart", datetime.fromisoformat(row["starts_at"].replace("Z", "+00:00")))
    result.add("dtend", datetime.fromisoformat(row["ends_at"].replace("Z", "+00:00")))
    result.add("summary", f"{title} – {instructors}")
    result.add("status", "CONFIRMED" if row["status"] == "active" else "CANCELLED")
    result.add("transp", "TRANSPARENT")
    result.add("x-microsoft-cdo-busystatus", "FREE")
    result.add("location", f"{venue['name']}, {venue['address']}")
    result.add("geo", vGeo((venue["lat"], venue["lng"])))
    place = {"VALUE": "URI", "X-APPLE-RADIUS": "100", "X-TITLE": venue["name"]}
    geo = f"geo:{venue['lat']},{venue['lng']}"
    result.add("x-apple-structured-location", geo, parameters=place)
    booking = f"https://goteamup.com{row['customer_url']}"
    about = "Bring a mat, a towel, water and a warm layer for the end."
    result.add("description", f"Instructor: {instructors}\nBook: {booking}\n\n{about}")
    result.add("url", booking)
    result.add("categories", [offering_type["category"]["name"]])
    return result

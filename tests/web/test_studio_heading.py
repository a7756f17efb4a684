"""What pages are headed with: the studio's name, logo, website and colour."""

import pytest
from flask.testing import FlaskClient
from web.pages import page

from bridge.config import Logo

SVG = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
PATHS = ("/", "/venues/12", "/sessions?view=week", "/nowhere", "/venues/999")


@pytest.fixture
def logo() -> Logo:
    return Logo(".svg", SVG.encode())


@pytest.mark.parametrize("path", PATHS)
def test_every_page_is_headed_by_the_studio(site_of, logo, path):
    client = site_of(
        studio_name="Åsa & <Friends>", studio_url="https://studio.example/?a&b", studio_logo=logo
    )
    found = page(client, path, 404 if path in PATHS[3:] else 200)
    header = found.source.partition("<main")[0]
    assert "<bdi>Åsa &amp; &lt;Friends&gt;</bdi>" in header or path == "/"
    assert "Åsa & <Friends>" in found.text
    assert "https://studio.example/?a&b" in found.links
    [image] = found.all("img")
    assert client.get(image["src"]).data == SVG.encode()


@pytest.mark.parametrize("path", PATHS)
def test_without_settings_nothing_is_missing(site: FlaskClient, path):
    found = page(site, path, 404 if path in PATHS[3:] else 200)
    assert found.all("img") == []
    assert not any("/embed/accent/" in link for link in found.links)
    assert "All timetables" in found.text or path == "/"


def test_a_logo_is_cached_by_its_content_and_its_scripts_do_not_run(site_of, logo):
    client = site_of(studio_logo=logo)
    [image] = page(client, "/venues/12").all("img")
    response = client.get(image["src"])
    assert response.headers["Content-Type"] == "image/svg+xml"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "immutable" in response.headers["Cache-Control"]
    policy = response.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "sandbox"} <= set(policy)
    assert not any(part.startswith("script-src") for part in policy)
    assert client.get(image["src"], headers={"If-None-Match": response.headers["ETag"]}).data == b""
    other = Logo(".svg", SVG.replace("alert", "print").encode())
    [changed] = page(site_of(studio_logo=other), "/venues/12").all("img")
    assert changed["src"] != image["src"]


def test_a_png_logo_has_its_type(site_of):
    client = site_of(studio_logo=Logo(".png", b"\x89PNG\r\n\x1a\n"))
    [image] = page(client, "/venues/12").all("img")
    assert client.get(image["src"]).headers["Content-Type"] == "image/png"


def test_without_a_logo_there_is_no_address_of_one(site: FlaskClient):
    assert site.get("/static/x/logo.svg").status_code == 404


@pytest.mark.parametrize("path", ["/", "/venues/12", "/embed/venues/12", "/nowhere"])
def test_the_colour_of_the_studio_is_the_accent_of_pages(site_of, path):
    client = site_of(studio_color="f5c518")
    found = page(client, path, 404 if path == "/nowhere" else 200)
    assert "/embed/accent/f5c518.css" in found.links
    assert client.get("/embed/accent/f5c518.css").status_code == 200


def test_the_accent_of_an_embedded_page_takes_precedence(site_of):
    links = page(site_of(studio_color="f5c518"), "/embed/venues/12?accent=0b5d57").links
    styles = [link for link in links if link.endswith(".css") and "accent" in link]
    assert styles == ["/embed/accent/f5c518.css", "/embed/accent/0b5d57.css"]

"""Timetables as visitors use them: months on phones, filters without scripts, long times."""

from urllib.parse import parse_qs, urlsplit

import pytest
from clocks import wait_until
from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from browser.bridges import Bridge
from browser.chromium import Chromium

# The times of entries that reach beyond the day or the column that they are in.
_OUTSIDE = """
return [...document.querySelectorAll(".entry .at time")].filter((time) => {
  const right = Math.max(...[...time.getClientRects()].map((line) => line.right));
  const what = time.closest(".entry").querySelector(".what").getBoundingClientRect();
  const day = time.closest(".day").getBoundingClientRect();
  return right > day.right + 1 || (what.top < time.getBoundingClientRect().bottom - 1
    && right > what.left);
}).map((time) => time.textContent);
"""


@pytest.mark.parametrize("path", ["/venues/12?view=week", "/venues/12"])
def test_long_times_stay_in_their_column(live: Bridge, tab: Chromium, path: str) -> None:
    separator = "&" if "?" in path else "?"
    tab.open(live.url(f"{path}{separator}lang=en-US"))
    assert "11:30\u202fPM\u2009–\u200912:45\u202fAM" in tab.run(
        "return document.querySelector('.table').textContent"
    )
    for width in (1280, 832, 600):
        assert tab.emulate(width=width).run(_OUTSIDE) == [], width


def test_on_paper_long_times_stay_in_their_day(live: Bridge, tab: Chromium) -> None:
    tab.open(live.url("/venues/12?view=week&lang=en-US"))
    # The printable width of Letter in landscape, the narrower of the two common sizes.
    tab.emulate(media="print", width=980, height=740)
    for density in ("sparse", "loose", "close", "tight", "dense"):
        tab.run(f"document.querySelector('.week').className = 'week {density}'")
        assert tab.run(_OUTSIDE) == [], density


def test_on_paper_long_times_stay_beside_the_classes_of_a_list(live: Bridge, tab: Chromium) -> None:
    tab.open(live.url("/venues/12?lang=en-US"))
    tab.emulate(media="print", width=980, height=740)
    assert tab.run(_OUTSIDE) == []


def test_on_phones_a_day_of_the_month_leads_to_its_classes(live: Bridge, tab: Chromium) -> None:
    tab.emulate(width=390, height=844, scripts=False).open(live.url("/venues/12"))
    tab.driver.find_element(By.LINK_TEXT, "Month").click()
    wait_until(lambda: "view=month" in tab.driver.current_url)
    tab.driver.find_element(By.PARTIAL_LINK_TEXT, "Later").click()
    wait_until(lambda: "from=" in tab.driver.current_url)
    month = tab.driver.current_url
    day = tab.driver.find_element(By.CSS_SELECTOR, ".month a.number")
    assert "class" in day.text
    day.click()
    wait_until(lambda: tab.driver.current_url != month)
    chosen = parse_qs(urlsplit(tab.driver.current_url).query)["from"]
    assert (
        tab.driver.find_element(By.CSS_SELECTOR, ".day h3").get_attribute("id") == f"d{chosen[0]}"
    )


def test_a_page_is_filtered_without_scripts(live: Bridge, tab: Chromium) -> None:
    tab.emulate(width=390, height=844, scripts=False).open(live.url("/venues/12"))
    tab.driver.find_element(By.CSS_SELECTOR, ".filters summary").click()
    tab.driver.find_element(By.CSS_SELECTOR, ".filters [value=sat]").click()
    Select(tab.driver.find_element(By.ID, "instructors")).select_by_visible_text("Zoë Ashdown")
    tab.driver.find_element(By.CSS_SELECTOR, ".filters button").click()
    wait_until(lambda: "weekdays=sat" in tab.driver.current_url)
    days = {day.text for day in tab.driver.find_elements(By.CSS_SELECTOR, ".weekday")}
    assert days == {"Saturday"}
    address = str(tab.driver.find_element(By.ID, "address").get_attribute("value"))
    assert address.endswith(".ics?instructors=11&weekdays=sat&_=.ics")
    filters = tab.driver.find_elements(By.CSS_SELECTOR, ".active a")
    assert ["Zoë Ashdown" in filters[0].text, "Saturday" in filters[1].text] == [True, True]
    filters[1].click()
    wait_until(lambda: "weekdays" not in tab.driver.current_url)

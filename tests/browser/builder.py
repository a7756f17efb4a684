"""The form of the start page, as tests use it."""

from selenium.webdriver.common.by import By
from selenium.webdriver.support.select import Select

from browser.chromium import Chromium


def box(tab: Chromium, name: str, value: object) -> None:
    """Tick a box, and open its list before."""
    _click(tab, f"input[name={name}][value='{value}']")


def cell(tab: Chromium, day: str, part: int) -> None:
    """Choose a part of a weekday: 0 is the morning."""
    _click(tab, f"li:has([name=weekdays][value={day}]) > .cell:nth-of-type({part + 1})")


def select(tab: Chromium, name: str, value: str) -> None:
    """Choose an option."""
    _show(tab, f"#{name}")
    Select(tab.driver.find_element(By.ID, name)).select_by_value(value)


def submit(tab: Chromium) -> None:
    """Press the button of the form."""
    buttons = tab.driver.find_elements(By.CSS_SELECTOR, "form[id=choose] [type=submit]")
    next(button for button in buttons if button.is_displayed()).click()


def address(tab: Chromium) -> str:
    """The address of the chosen feed, or of the feed of a page."""
    return str(tab.driver.find_element(By.ID, "address").get_attribute("value"))


def _click(tab: Chromium, selector: str) -> None:
    _show(tab, selector)
    tab.driver.find_element(By.CSS_SELECTOR, selector).click()


def _show(tab: Chromium, selector: str) -> None:
    """Open the lists around an element, as a visitor does by clicking their titles."""
    tab.run(
        """
        const element = document.querySelector(arguments[0]);
        let list = element;
        while (list = list.parentElement.closest("details")) list.open = true;
        element.scrollIntoView({block: "center"});
        """,
        f"#choose {selector}",
    )

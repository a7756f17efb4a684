"""The texts of filters by weekday and time of day, the same in feeds and on pages."""

from datetime import time

from bridge.filters import FilterSet
from bridge.languages import Language


def weekdays_and_times(filter_set: FilterSet, language: Language) -> str:
    """Weekdays and times of day: ``Monday–Friday before 12:00``. Empty if neither is filtered."""
    return " ".join(
        filter(None, (_weekdays(filter_set, language), time_range(filter_set, language)))
    )


def time_range(filter_set: FilterSet, language: Language) -> str:
    """The times of day: ``09:00–12:00`` or ``before 12:00``. Empty if they are not filtered."""
    start, end = filter_set.time_from, filter_set.time_until
    if start is not None and end is not None:
        return f"{language.time(start)}–{language.time(end)}"
    if start is None and end is None:
        return ""
    at = language.time(start or end or time())
    return language.plain("time_before" if start is None else "time_after", time=at)


def _weekdays(filter_set: FilterSet, language: Language) -> str:
    numbers = [day.number for day in filter_set.weekdays]
    names = [language.weekday(number) for number in numbers]
    consecutive = len(numbers) > 2 and numbers[-1] - numbers[0] == len(numbers) - 1
    return f"{names[0]}–{names[-1]}" if consecutive else ", ".join(names)

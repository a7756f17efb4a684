"""The texts that the bridge writes about changes, the same in every format."""

from typing import Any

from bridge.feeds.changes import ChangeKind, SessionChange
from bridge.feeds.event_text import local_time
from bridge.languages import Language
from bridge.model import ClassSession
from bridge.times import spans_days


def change_text(change: SessionChange, language: Language) -> str:
    """What changed, in one line: ``Moved: Vinyasa Flow, Tue 1 Dec, 18:00 → 19:00``."""
    old, new = change.before.session, change.after.session
    values: dict[str, Any] = {"name": new.title, "when": local_time(new, language, new.start)}
    match change.kind:
        case ChangeKind.MOVED:
            values["before"], values["after"] = _moved(old, new, language)
        case ChangeKind.COVER:
            names = (_names(old, instead_of=new), _names(new, instead_of=old))
            values["before"], values["after"] = names
            if not all(names):
                key = "change_joins" if names[1] else "change_leaves"
                return language.plain(key, **values)
            if change.before.instead_of and not change.after.instead_of:
                return language.plain("change_cover_ended", **values)
        case ChangeKind.VENUE:
            values |= {
                "before": old.venue.name if old.venue else "–",
                "after": new.venue.name if new.venue else "–",
            }
        case ChangeKind.ROOM:
            values |= {
                "before": old.room.name if old.room else "–",
                "after": new.room.name if new.room else "–",
            }
        case ChangeKind.RENAMED:
            values |= {"before": old.title, "after": new.title}
    return language.plain(f"change_{change.kind.value}", **values)


def _moved(old: ClassSession, new: ClassSession, language: Language) -> tuple[str, str]:
    """The time before and after, the latter without the day if that is the same."""
    before, after = old.local_start, new.local_start
    if old.start == new.start:
        start = local_time(old, language, old.start)
        return start + _until(old, language), _until(new, language).lstrip()
    if before.date() == after.date() and before.tzinfo == after.tzinfo:
        return local_time(old, language, old.start), language.time(after)
    return local_time(old, language, old.start), local_time(new, language, new.start)


def _until(session: ClassSession, language: Language) -> str:
    """The end of a range of times, with the day if the session spans several."""
    if spans_days(session.local_start, session.local_end):
        return f" – {local_time(session, language, session.ends)}"
    return f"–{language.time(session.ends.astimezone(session.zone))}"


def _names(session: ClassSession, *, instead_of: ClassSession) -> str:
    """The instructors of *session* that the other one does not have."""
    others = {person.id for person in instead_of.instructors}
    return ", ".join(
        person.name for person in session.instructors if person.id not in others and person.name
    )

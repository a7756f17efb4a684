"""The TeamUp feed bridge: a studio's timetable as calendar feeds."""

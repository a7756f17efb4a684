"""Fixtures: the stand-in for TeamUp, and bridges in front of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from clocks import ManualClock
from whole_timetable.bridges import OPERATOR, SIGNING_KEY, Bridge, Build, ImpatientClock
from whole_timetable.rows import NOW
from whole_timetable.teamup import TOKEN, FakeTeamUp

from bridge import config, services
from bridge.config import Availability, Config
from bridge.services import Services


@contextmanager
def bridges() -> Iterator[Build]:
    """Creates bridges with both lists; closes all at the end.

    Args of the function: the stand-in; the clock; the store; and fields of the Config.
    """
    built: list[Services] = []

    def build(
        teamup: FakeTeamUp, clock: ManualClock, *, store: Any = None, **fields: Any
    ) -> Bridge:
        fields = {
            "base_url": teamup.url,
            "operator_token": OPERATOR,
            "signing_keys": (SIGNING_KEY,),
            "public_availability": Availability.SPOTS,
            **fields,
        }
        parts = services.build(replace(_defaults(), **fields), clock=clock, store=store)
        built.append(parts)
        return Bridge(parts, clock)

    try:
        yield build
    finally:
        for parts in built:
            parts.close()


def _defaults() -> Config:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "environ", {"TEAMUP_API_TOKEN": TOKEN, "CACHE_URL": "memory://"})
        return config.load()


@pytest.fixture
def clock() -> ManualClock:
    return ImpatientClock(NOW)


@pytest.fixture
def build() -> Iterator[Build]:
    """Creates bridges; see `bridges`."""
    with bridges() as build:
        yield build


@pytest.fixture
def teamup(clock: ManualClock) -> Iterator[FakeTeamUp]:
    """A stand-in without rows."""
    with FakeTeamUp(now=clock.now) as teamup:
        yield teamup

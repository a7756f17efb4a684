"""Probes of a server of several studios: ready while any of them can be served."""

from functools import partial

import pytest
from clocks import wait_until
from flask import Flask
from several_studios.conftest import OPERATOR, SLUGS, Deploy, Deployment, token

from bridge.services import Services
from bridge.web import assets

OPERATORS = {"Authorization": f"Bearer {OPERATOR}"}


def is_settled(services: Services) -> bool:
    """Whether TeamUp has answered or failed, which the readiness then states."""
    services.readiness.check()
    states = services.router.states()
    return all(state.failure is not None or state.servable for state in states)


def settle(deployment: Deployment) -> None:
    """Check the readiness of all studios until nothing is being fetched."""
    for slug in SLUGS:
        services = deployment.site(slug).services
        services.readiness.probe()
        wait_until(partial(is_settled, services))


def test_a_studio_that_fails_leaves_the_server_ready(deploy: Deploy) -> None:
    riverside, old_chapel = SLUGS
    deployment = deploy({riverside: {"hosts": ["a.example"]}, old_chapel: {}})
    deployment.faults[riverside].set("status", 401)
    settle(deployment)
    assert deployment.get("/readyz").status_code == 200
    assert deployment.get(f"/s/{old_chapel}/readyz").status_code == 200
    for response in (
        deployment.get(f"/s/{riverside}/readyz"),
        deployment.get("/readyz", host="a.example"),
    ):
        assert response.status_code == 503
        assert b"the studio's booking system cannot be reached" in response.data
        assert b"TEAMUP" not in response.data


def test_a_server_without_a_studio_that_works_is_not_ready(deploy: Deploy) -> None:
    deployment = deploy()
    for slug in SLUGS:
        deployment.faults[slug].set("status", 401)
    settle(deployment)
    public, detail = deployment.get("/readyz"), deployment.get("/readyz", **OPERATORS)
    assert public.status_code == detail.status_code == 503
    for slug in SLUGS:
        assert slug.encode() not in public.data
        assert slug.encode() in detail.data
        assert token(slug).encode() not in detail.data


def test_probes_and_robots_are_answered_at_every_address(deploy: Deploy) -> None:
    deployment = deploy({SLUGS[0]: {"hosts": ["a.example"]}})
    flask = deployment.app.test_client()
    for path in ("/healthz", "/robots.txt"):
        for response in (
            deployment.get(path),
            deployment.get(path, host="a.example"),
            deployment.get(f"/s/{SLUGS[1]}{path}"),
            flask.get(path),
            flask.get(f"/s/{SLUGS[1]}{path}"),
        ):
            assert response.status_code == 200


def test_the_readiness_of_the_server_is_not_that_of_an_unknown_studio(deploy: Deploy) -> None:
    for path in ("/s/none/healthz", "/s/none/readyz"):
        assert deploy().get(path).status_code == 404


def test_a_probe_of_a_studio_does_not_create_its_application(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would block the event loop, and the responses to all other studios with it."""
    created: list[str] = []

    def configure(app: Flask, *args: object) -> None:
        created.append(app.name)
        register(app, *args)

    register = assets.register
    monkeypatch.setattr(assets, "register", configure)
    deployment = deploy()
    for slug in SLUGS:
        assert deployment.get(f"/s/{slug}/healthz").status_code == 200
    assert created == []
    assert deployment.get(f"/s/{SLUGS[0]}/robots.txt").status_code == 200
    assert created != []
    counted = deployment.get("/metrics", **OPERATORS).data.decode()
    for slug in SLUGS:
        assert f'route="/healthz",status="200",studio="{slug}"' in counted

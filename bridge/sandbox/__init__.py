"""A stand-in for TeamUp: a made-up studio behind TeamUp's API, served over HTTP on loopback.

For ``make run`` and for the tests; the bridge itself imports nothing of it::

    with SandboxServer(create_api(demo_studio(date.today()))) as server:
        requests.get(f"{server.url}/course_sessions", headers={"Authorization": f"Bearer {TOKEN}"})
"""

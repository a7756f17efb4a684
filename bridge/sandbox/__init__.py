"""A stand-in for TeamUp: a made-up studio behind TeamUp's API, served over HTTP on loopback.

For ``make run`` and for the tests; the bridge itself imports nothing of it. The lists of course
sessions (``/course_sessions``) and of ordinary classes (``/events``) are rows of one table, in
`endpoints`::

    with SandboxServer(create_api(demo_studio(date.today()))) as server:
        requests.get(f"{server.url}/course_sessions", headers={"Authorization": f"Bearer {TOKEN}"})
"""

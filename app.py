from bridge.web import create_app, create_asgi

# app: WSGI, for any server. asgi: the same with a response cache, served in the event loop.
app = create_app()
asgi = create_asgi(app)

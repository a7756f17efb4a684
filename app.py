from bridge.web import create_app, create_asgi

# app: plain WSGI, for any server. asgi: also answers from the response cache, in the event loop.
app = create_app()
asgi = create_asgi(app)

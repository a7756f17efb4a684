from bridge.web import create_app, create_asgi

# Plain WSGI, for any server; and ASGI, which answers what is ready without waiting for a thread.
app = create_app()
asgi = create_asgi(app)

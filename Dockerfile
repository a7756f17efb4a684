# syntax=docker/dockerfile:1
FROM python:3.13-slim AS build
WORKDIR /srv/bridge
COPY requirements.txt .
RUN python3 -m venv .venv \
    && .venv/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --no-compile -r requirements.txt \
    && .venv/bin/python -m pip uninstall --yes pip
COPY app.py .
COPY bridge bridge
# Compile now: these files cannot be written at run time.
RUN .venv/bin/python -m compileall -q .

FROM python:3.13-slim
LABEL org.opencontainers.image.title="TeamUp feed bridge" \
      org.opencontainers.image.licenses="MIT"
WORKDIR /srv/bridge
COPY --from=build /srv/bridge .
# Only the store is written. A new volume takes its owner from this folder.
RUN install -d -o 10001 -g 10001 -m 700 /data
ENV CACHE_URL=sqlite:////data/bridge.sqlite3 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 \
    CMD [".venv/bin/python", "-c", "import http.client as h, os; c = h.HTTPConnection('127.0.0.1', int(os.environ.get('PORT', 8000)), timeout=4); c.request('GET', '/healthz'); raise SystemExit(c.getresponse().status != 200)"]
CMD [".venv/bin/python", "-m", "bridge.server"]

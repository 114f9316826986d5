# syntax=docker/dockerfile:1
# One image for web, workers, beat and commands; `edge` and `pgbouncer` are nginx and PgBouncer with Khaacho's files.
#   docker build --target app -t khaacho:VERSION .
# Versions are fixed here and in deploy/requirements.lock, whose hashes pip checks. To be sure of the bases too, give
# them by digest: --build-arg PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:…
ARG PYTHON_IMAGE=python:3.11-slim-bookworm
ARG NGINX_IMAGE=nginxinc/nginx-unprivileged:1.28-bookworm
ARG DEBIAN_IMAGE=debian:trixie-slim

# --- build: an environment of wheels only; nothing is compiled, so there is no compiler to leave behind ---
FROM ${PYTHON_IMAGE} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
RUN python -m venv /opt/khaacho/venv
COPY deploy/requirements.lock /tmp/requirements.lock
RUN /opt/khaacho/venv/bin/pip install --require-hashes --only-binary=:all: -r /tmp/requirements.lock \
    && /opt/khaacho/venv/bin/python -m compileall -q /opt/khaacho/venv/lib \
    && /opt/khaacho/venv/bin/pip uninstall -y pip setuptools
# What runs, by name: tests, benchmarks and documents stay outside.
WORKDIR /opt/khaacho/site
COPY pyproject.toml manage.py ./
COPY khaacho khaacho
COPY vendors vendors
COPY credit credit
COPY orders orders
COPY payments payments
COPY whatsapp whatsapp
COPY monitoring monitoring
COPY deploy/gunicorn.conf.py deploy/
RUN /opt/khaacho/venv/bin/python -m compileall -q . \
    && SECRET_KEY=only-to-collect-files STATIC_ROOT=/opt/khaacho/static \
        /opt/khaacho/venv/bin/python manage.py collectstatic --noinput -v0

# --- app: web, workers, beat, commands ---
FROM ${PYTHON_IMAGE} AS app
# pg_dump and psql of the server's version, for backups.
ARG POSTGRESQL_MAJOR=17
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends postgresql-common ca-certificates \
    && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y \
    && apt-get install -y --no-install-recommends "postgresql-client-${POSTGRESQL_MAJOR}" \
    && apt-get clean && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 khaacho \
    && useradd --system --uid 10001 --gid khaacho --home-dir /nonexistent --shell /usr/sbin/nologin khaacho \
    && install -d -o khaacho -g khaacho -m 0750 /var/lib/khaacho /var/log/khaacho /run/khaacho-draining
COPY --from=build /opt/khaacho /opt/khaacho
ENV PATH=/opt/khaacho/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    STATIC_ROOT=/opt/khaacho/static \
    WEB_HOST=0.0.0.0
WORKDIR /opt/khaacho/site
# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
EXPOSE 8000
# Gunicorn's own word to stop in order; Celery and beat take it as well.
STOPSIGNAL SIGTERM
# Of the web process; compose.yaml has those of workers and beat.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
CMD ["gunicorn", "-c", "deploy/gunicorn.conf.py", "khaacho.wsgi:application"]

# --- edge: nginx with our files and the static files of the same version ---
FROM ${NGINX_IMAGE} AS edge
COPY --chown=root:root deploy/nginx/nginx.conf /etc/nginx/templates/nginx.conf.template
COPY --chown=root:root deploy/nginx/http.conf /etc/nginx/templates/http.conf.template
COPY --chown=root:root deploy/nginx/site.conf /etc/nginx/templates/site.conf.template
COPY --chown=root:root deploy/nginx/server.conf /etc/nginx/templates/server.conf.template
COPY --from=build /opt/khaacho/static /srv/khaacho/static
# The entry point fills the templates in; /tmp is what a read-only container may write.
ENV NGINX_ENVSUBST_OUTPUT_DIR=/tmp/nginx
USER 101:101
EXPOSE 8080
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["curl", "-fsS", "-o", "/dev/null", "http://127.0.0.1:8080/edgez"]
CMD ["/bin/sh", "-c", "exec nginx -c /tmp/nginx/nginx.conf -g 'daemon off; pid /tmp/nginx.pid;'"]

# --- pgbouncer: Debian's package, which is maintained, with our file ---
FROM ${DEBIAN_IMAGE} AS pgbouncer
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends pgbouncer gettext-base postgresql-client \
    && apt-get clean && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10002 pooler \
    && useradd --system --uid 10002 --gid pooler --home-dir /nonexistent --shell /usr/sbin/nologin pooler
COPY deploy/pgbouncer/pgbouncer.ini /etc/khaacho/pgbouncer.ini
USER 10002:10002
EXPOSE 6432
# SIGINT: finish transactions, then end. SIGTERM would break them off.
STOPSIGNAL SIGINT
HEALTHCHECK --interval=10s --timeout=3s --start-period=5s --retries=3 \
    CMD ["pg_isready", "-q", "-h", "127.0.0.1", "-p", "6432"]
CMD ["/bin/sh", "-c", "envsubst < /etc/khaacho/pgbouncer.ini > /tmp/pgbouncer.ini && exec pgbouncer /tmp/pgbouncer.ini"]

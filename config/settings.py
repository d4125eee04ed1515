"""Drover's settings."""

from __future__ import annotations

import os
import socket
import warnings
from datetime import timedelta
from pathlib import Path
from typing import Any

from apps.background import memory
from config import env, language_model, openapi

# --- Deployment -----------------------------------------------------------------------------
BASE_DIR = Path(__file__).resolve().parent.parent
DROVER_HOME = env.home()
VERSION = env.version()
DEBUG = env.flag("DROVER_DEBUG", default=False)
# "local" is one machine on loopback (`make up`); "production" is behind a proxy with TLS.
DEPLOYMENT = env.text("DROVER_DEPLOYMENT", "local")
PUBLIC_URL = env.text("DROVER_PUBLIC_URL", "http://localhost:8000").rstrip("/")

# --- Keys -----------------------------------------------------------------------------------
SECRET_KEY = env.secret("SECRET_KEY")
ENCRYPTION_KEYS = env.secret("ENCRYPTION_KEYS").split()  # Fernet keys, newest first
API_KEY_PEPPER = env.secret("API_KEY_PEPPER")

# --- Database: one database, four roles (docs/adr/0003) -------------------------------------
DATABASE_URL = env.text(
    "DATABASE_URL", hint="Start `make up` once, or set the URL of a PostgreSQL database."
)
# The server itself, if DATABASE_URL is a pooler: LISTEN for live events needs a session (docs/howto/own-postgresql.md).
EVENTS_DATABASE_URL = env.text("DROVER_EVENTS_DATABASE_URL", "")
# A read replica of that server, which answers lists of the web processes (apps.orgs.walls.replica).
REPLICA_URL = env.text("DROVER_REPLICA_URL", "")
DATABASE_ROLES = {
    "user": "app_user",
    "owner": "app_owner",
    "ops": "app_ops",
    "engine": "app_engine",
}
DATABASE_ROLE = env.text("DROVER_DB_ROLE", "user")
DATABASE_ROLE_URLS = {
    role: env.role_url(DATABASE_URL, SECRET_KEY, role) for role in DATABASE_ROLES.values()
}
ENGINE_DATABASE_URL = env.with_keepalives(
    env.role_url(DATABASE_URL, SECRET_KEY, DATABASE_ROLES["engine"])
)
# web, worker or command. config.asgi and manage.py set it.
PROCESS = env.text("DROVER_PROCESS", "command")
RUN_LEASE = timedelta(seconds=env.integer("DROVER_RUN_LEASE_SECONDS", 60))
# The server ends an idle transaction after this time, so that a frozen process releases its locks before the leases of
# waiting processes expire. The other limits of a connection belong to the database roles (local.database.roles).
LONGEST_IDLE_TRANSACTION = min(timedelta(seconds=10), RUN_LEASE / 2)

# The number of connections per process follows from these values (apps.background.connections).
WEB_THREADS = env.integer("DROVER_WEB_THREADS", 8)
WORKER_CONCURRENCY = env.integer("DROVER_WORKER_CONCURRENCY", 8)
MAX_RUNNING_PLATFORM = env.integer("DROVER_MAX_RUNNING", 50)
WEB_POOL = env.integer("DROVER_DB_POOL", WEB_THREADS)
WORKER_POOL = env.integer("DROVER_DB_POOL", 8)
DATABASE_POOL = {"web": WEB_POOL, "worker": WORKER_POOL}.get(PROCESS, 10)
QUEUE_POOL = 2  # connections of a worker for fetching jobs; another one is for LISTEN
# A pool that cannot connect waits longer after each try. After this number of seconds it begins with a short wait again.
POOL_RECONNECT = 2.0


def database(role: str, *, pool_size: int | None, server: str = DATABASE_URL) -> dict[str, Any]:
    url = env.with_keepalives(env.role_url(server, SECRET_KEY, DATABASE_ROLES[role]))
    idle_milliseconds = round(LONGEST_IDLE_TRANSACTION / timedelta(milliseconds=1))
    url_options = env.database_options(url)
    timeout = f"-c idle_in_transaction_session_timeout={idle_milliseconds}"
    options: dict[str, Any] = {
        "connect_timeout": 5,
        "application_name": f"drover-{PROCESS} {os.getpid()}@{socket.gethostname()[:30]} {VERSION}",
        **url_options,
        "options": f"{timeout} {url_options.get('options', '')}".strip(),
    }
    if pool_size:
        options["pool"] = {
            "min_size": 0,
            "max_size": pool_size,
            "max_idle": 30,  # seconds until an unused connection is closed
            "timeout": 2 if PROCESS == "web" else 10,
            "reconnect_timeout": POOL_RECONNECT,
        }
    return {
        "ENGINE": "django.db.backends.postgresql",
        **env.database_settings(url),
        "OPTIONS": options,
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,  # A broken pooled connection is replaced before it is used.
    }


DATABASES = {
    "default": database(DATABASE_ROLE, pool_size=DATABASE_POOL),
    "ops": database("ops", pool_size=None),
}
if REPLICA_URL and PROCESS == "web":
    DATABASES["replica"] = database(DATABASE_ROLE, pool_size=DATABASE_POOL, server=REPLICA_URL)
    # A list does not wait for a replica that cannot be reached: the primary server answers.
    DATABASES["replica"]["OPTIONS"]["pool"]["timeout"] = 0.3
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Applications ---------------------------------------------------------------------------
INSTALLED_APPS = [
    "apps.orgs.operators.apps.OperatorsConfig",
    "apps.background",
    "apps.auth",  # before Django's apps, whose command changepassword it replaces
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "procrastinate.contrib.django",
    "allauth",
    "allauth.account",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.google",
    "allauth.socialaccount.providers.github",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.mfa",
    "apps.orgs",
    "apps.connectors",
    "apps.pipelines",
    "apps.runs",
    "apps.alerts",
    "apps.agent",
]
MIDDLEWARE = [
    "apps.web.metrics.process.RequestDurations",
    "apps.web.request_ids.RequestIds",
    "apps.web.hosts.RejectUnknownHosts",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "apps.web.headers.SecurityHeaders",
    "apps.web.compression.CompressJson",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "config.admin.AdminSession",
    "django.middleware.csrf.CsrfViewMiddleware",
    "config.admin.AdminUser",
    "config.admin.AdminMessages",
    "allauth.account.middleware.AccountMiddleware",
]
OPERATORS_PATH = "/operators/"  # Django's admin
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# --- Identity -------------------------------------------------------------------------------
AUTH_USER_MODEL = "identity.User"
AUTHENTICATION_BACKENDS = ["apps.auth.backends.PasswordBackend"]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.BCryptSHA256PasswordHasher"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
ACCESS_TOKEN_LIFETIME = timedelta(minutes=10)
REFRESH_TOKEN_LIFETIME = timedelta(days=14)
REFRESH_TOKEN_LEEWAY = timedelta(seconds=10)
# In production anybody can register, so an address must be verified before it is used.
REQUIRE_VERIFIED_EMAIL = env.flag(
    "DROVER_REQUIRE_VERIFIED_EMAIL", default=DEPLOYMENT == "production"
)
ORG_DELETION_GRACE = timedelta(days=env.integer("DROVER_ORG_DELETION_DAYS", 14, minimum=0))
# allauth handles identity providers and second factors. Drover handles accounts, passwords and mail (ADR 0027).
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
SOCIALACCOUNT_ADAPTER = "apps.orgs.sign_in.providers.Adapter"
# The identity providers of this installation, by the name in their URLs.
IDENTITY_PROVIDERS = env.identity_providers()
MFA_ADAPTER = "apps.auth.factors.Adapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_TOLERANCE = 1  # steps of 30 s
MFA_RECOVERY_CODE_DIGITS = 12
SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": ACCESS_TOKEN_LIFETIME,
    "ALGORITHM": "HS256",
    "SIGNING_KEY": env.role_password(SECRET_KEY, "access-token"),
    "USER_ID_CLAIM": "sub",
    "ISSUER": "drover",
}

# --- Mail: files below the home unless a server is set ------------------------------------------
MAIL_URL = env.text("DROVER_MAIL_URL", "")  # smtp[s]://user:password@host:port
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if MAIL_URL else 'filebased'}.EmailBackend"
EMAIL_FILE_PATH = str(DROVER_HOME / "mail")
EMAIL_TIMEOUT = 20  # seconds
DEFAULT_FROM_EMAIL = env.text("DROVER_MAIL_FROM", "Drover <drover@localhost>")
if MAIL_URL:
    globals().update(env.mail_settings(MAIL_URL))

# --- API ------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["apps.web.wire.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["apps.web.wire.JSONParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "apps.web.wire.AlwaysJSON",
    "DEFAULT_METADATA_CLASS": None,
    "URL_FORMAT_OVERRIDE": None,
    "EXCEPTION_HANDLER": "apps.web.problems.handle_exception",
    "DEFAULT_SCHEMA_CLASS": "apps.web.schema.OperationSchema",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = openapi.SETTINGS
API_BODY_LIMIT = DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024  # bytes; a larger body gets 413
# Longest time between two parts of a body, in seconds. After that the response is 408.
BODY_WAIT = env.integer("DROVER_BODY_WAIT_SECONDS", 30)
# Uploaded data files, see docs/howto/data-files.md. Sizes are in bytes.
FILE_SIZE = env.integer("DROVER_FILE_MB", 1000) * 10**6
FILES_SIZE_PER_ORG = env.integer("DROVER_FILES_MB_PER_ORG", 10_000) * 10**6
FILES_PER_ORG = env.integer("DROVER_FILES_PER_ORG", 10_000)
FILE_UPLOADS_PER_ORG_AT_ONCE = env.integer("DROVER_FILE_UPLOADS_PER_ORG_AT_ONCE", 5)
FILE_UPLOADS_PER_ORG_PER_MINUTE = env.integer("DROVER_FILE_UPLOADS_PER_ORG_PER_MINUTE", 60)
FILE_UPLOADS_PER_PROCESS = env.integer("DROVER_FILE_UPLOADS_PER_PROCESS", 20)
FILE_UPLOAD_SLOWEST = env.integer("DROVER_FILE_UPLOAD_SLOWEST_KB", 4) * 2**10  # bytes per second

# --- Storage of run outputs and logs ---------------------------------------------------------
STORAGE_KIND = env.text("DROVER_STORAGE", "local")  # local | s3 | gcs
STORAGE_BUCKET = env.text("DROVER_STORAGE_BUCKET", "")
STORAGE_OPTIONS: dict[str, Any] = {
    "local": {"location": str(DROVER_HOME / "storage")},
    "s3": {
        "bucket_name": STORAGE_BUCKET,
        "endpoint_url": env.text("DROVER_S3_ENDPOINT_URL", "") or None,
        "access_key": env.text("DROVER_S3_ACCESS_KEY", "") or None,
        "secret_key": env.text("DROVER_S3_SECRET_KEY", "") or None,
        "region_name": env.text("DROVER_S3_REGION", "") or None,
        "querystring_expire": 300,
        "signature_version": "s3v4",  # newer regions refuse older versions
        "file_overwrite": True,
        "default_acl": None,
    },
    "gcs": {
        "bucket_name": STORAGE_BUCKET,
        "expiration": timedelta(minutes=5),
        "file_overwrite": True,
        "custom_endpoint": env.text("DROVER_GCS_ENDPOINT_URL", "") or None,
    },
}
STORAGES = {
    "default": {
        "BACKEND": {
            "local": "django.core.files.storage.FileSystemStorage",
            "s3": "storages.backends.s3.S3Storage",
            "gcs": "storages.backends.gcloud.GoogleCloudStorage",
        }[STORAGE_KIND],
        "OPTIONS": STORAGE_OPTIONS[STORAGE_KIND],
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
FILE_UPLOAD_PERMISSIONS, FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o600, 0o700

# --- Web ------------------------------------------------------------------------------------
# Requests with any other Host are refused on every path. The host of PUBLIC_URL, which mails link to, is always accepted.
ALLOWED_HOSTS = env.hosts(
    "DROVER_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]", public_url=PUBLIC_URL
)
FRONTEND_DIST = BASE_DIR / "frontend" / "dist"
STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "static" / "build"
STATICFILES_DIRS: list[Any] = [
    (name, BASE_DIR / "static" / name) for name in ("docs", "freshness", "operators")
]
if FRONTEND_DIST.is_dir():
    STATICFILES_DIRS.append(FRONTEND_DIST)
WHITENOISE_USE_FINDERS = True
# Without collected static files, WhiteNoise uses the finders. It would warn about the missing folder.
warnings.filterwarnings("ignore", "No directory at", UserWarning)
WHITENOISE_AUTOREFRESH = False
APPEND_SLASH = False
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = False
METRICS_TOKEN = env.text("DROVER_METRICS_TOKEN", "")  # if empty, /metrics is disabled
OTLP_URL = env.text(
    "DROVER_OTLP_URL", ""
)  # the collector of traces and metrics, or nothing is sent

# Who is told about problems of the installation (docs/howto/look-after.md). Without addresses, all active operators.
OPERATOR_ADDRESSES = env.words("DROVER_OPERATOR_ADDRESSES")
OPERATOR_WEBHOOK_URL = env.text("DROVER_OPERATOR_WEBHOOK_URL", "")
OPERATOR_WEBHOOK_SECRET = env.text("DROVER_OPERATOR_WEBHOOK_SECRET", "")  # of the signature
OPERATOR_PATIENCE = env.integer("DROVER_OPERATOR_PATIENCE_SECONDS", 120)
# Requested each minute by the scheduler, so that a service outside notices if it stops.
HEARTBEAT_URL = env.text("DROVER_HEARTBEAT_URL", "")

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
BEHIND_TLS = DEPLOYMENT == "production"
SECURE_SSL_REDIRECT = env.flag("DROVER_SSL_REDIRECT", default=BEHIND_TLS)
SECURE_REDIRECT_EXEMPT = [r"^api/v1/(health/|metrics$)"]  # requested directly, without the proxy
SECURE_HSTS_SECONDS = 31_536_000 if BEHIND_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = BEHIND_TLS
# HSTS preloading cannot be undone for years, so the owner of the domain must enable it explicitly.
SECURE_HSTS_PRELOAD = env.flag("DROVER_HSTS_PRELOAD", default=False)
SILENCED_SYSTEM_CHECKS = [] if SECURE_HSTS_PRELOAD else ["security.W021"]
# Name servers for the records of e-mail domains, as host or host:port. If empty, the system's name servers are used.
DNS_SERVERS = env.words("DROVER_DNS_SERVERS")
# The number of proxies in front of Drover. Only their entries in X-Forwarded-For and X-Forwarded-Proto are used.
TRUSTED_PROXIES = env.integer("DROVER_TRUSTED_PROXIES", 1 if BEHIND_TLS else 0, minimum=0)
SECURE_PROXY_SSL_HEADER = (
    ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS and TRUSTED_PROXIES else None
)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = BEHIND_TLS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Strict"

# --- Engine and runs --------------------------------------------------------------------------
# Whether pipelines may connect to private and loopback addresses. In production strangers may have accounts.
ALLOW_PRIVATE_NETWORKS = env.flag("DROVER_ALLOW_PRIVATE_NETWORKS", default=DEPLOYMENT == "local")
# Address space of a process of the engine, which executes a run, a check or a preview (docs/howto/look-after.md).
CHILD_MEMORY = env.integer("DROVER_CHILD_MEMORY_MB", 2048) * 2**20
# Limits of custom code (docs/howto/custom-sources.md), which does not run with less than SANDBOX_LEAST_ISOLATION.
SANDBOX_HOME = DROVER_HOME / "sandbox"
SANDBOX_LEAST_ISOLATION = env.text("DROVER_SANDBOX_LEAST_ISOLATION", "good")  # weak | good | strong
SANDBOX_LIMITS = {
    "memory": env.integer("DROVER_SANDBOX_MEMORY_MB", 1024) * 2**20,
    "disk": env.integer("DROVER_SANDBOX_DISK_MB", 256) * 2**20,
    "cpu_seconds": env.integer("DROVER_SANDBOX_CPU_SECONDS", 3600),
    "silence_seconds": env.integer("DROVER_SANDBOX_SILENCE_SECONDS", 300),
    "page": env.integer("DROVER_SANDBOX_PAGE_MB", 128) * 2**20,
    "values": env.integer("DROVER_SANDBOX_PAGE_VALUES", 5_000_000),
    "rows": env.integer("DROVER_SANDBOX_PAGE_ROWS", 1_000_000),
    "output": env.integer("DROVER_SANDBOX_OUTPUT_MB", 65_536) * 2**20,
    "network": env.integer("DROVER_SANDBOX_NETWORK_MB", 65_536) * 2**20,
    "connections": env.integer("DROVER_SANDBOX_CONNECTIONS", 100_000),
}
# Concurrent runs of one org per worker, which share the worker's memory. If 0, the number is computed from the memory.
WORKER_ORG_RUNS = env.integer("DROVER_WORKER_ORG_RUNS", 0, minimum=0) or memory.max_runs_per_org(
    CHILD_MEMORY, SANDBOX_LIMITS["memory"]
)
SANDBOX_QUESTION_LIMITS = {  # checks and previews
    "wall_seconds": env.integer("DROVER_SANDBOX_PREVIEW_SECONDS", 25),
    "cpu_seconds": env.integer("DROVER_SANDBOX_PREVIEW_SECONDS", 25),
    "connections": env.integer("DROVER_SANDBOX_PREVIEW_CONNECTIONS", 200),
}
RUN_HEARTBEAT = timedelta(seconds=env.integer("DROVER_RUN_HEARTBEAT_SECONDS", 10))
# Seconds without a page, a write or a log line until a run counts as hung (docs/howto/look-after.md).
RUN_SILENCE = env.integer("DROVER_RUN_SILENCE_SECONDS", 900)
# The wait before the second attempt of a run.
RUN_RETRY_WAIT = timedelta(seconds=env.integer("DROVER_RUN_RETRY_SECONDS", 10))
# Concurrent event streams to clients in each web process.
STREAMS_PER_MEMBER = env.integer("DROVER_STREAMS_PER_MEMBER", 40)
STREAMS_PER_ORG = env.integer("DROVER_STREAMS_PER_ORG", 400)
STREAMS_PER_PROCESS = env.integer("DROVER_STREAMS_PER_PROCESS", 5000)
STREAM_RECHECK = timedelta(seconds=env.integer("DROVER_STREAM_RECHECK_SECONDS", 60))
# A client that does not read for this time is disconnected. It reconnects and resumes.
STREAM_SEND_SECONDS = env.integer("DROVER_STREAM_SEND_SECONDS", 10)

# --- Agent ------------------------------------------------------------------------------------
# Turns of the agent that one worker process runs at once. Each has its own database connection.
AGENT_TURNS = env.integer("DROVER_AGENT_TURNS", 8)
# How many of them may belong to one org, so that slow language models of one org do not delay others.
AGENT_ORG_TURNS_PER_WORKER = env.integer(
    "DROVER_AGENT_ORG_TURNS_PER_WORKER", max(1, AGENT_TURNS // 2)
)
# A worker renews the lease of a turn every second. Another worker takes the turn over after this time without it.
AGENT_LEASE = timedelta(seconds=env.integer("DROVER_AGENT_LEASE_SECONDS", 15))
# Messages to the agent that a member and an org may send in a minute, and that it may work on at once.
AGENT_MEMBER_TURNS_PER_MINUTE = env.integer("DROVER_AGENT_MEMBER_TURNS_PER_MINUTE", 20)
AGENT_ORG_TURNS_PER_MINUTE = env.integer("DROVER_AGENT_ORG_TURNS_PER_MINUTE", 200)
AGENT_MEMBER_TURNS_AT_ONCE = env.integer("DROVER_AGENT_MEMBER_TURNS_AT_ONCE", 5)
AGENT_ORG_TURNS_AT_ONCE = env.integer("DROVER_AGENT_ORG_TURNS_AT_ONCE", 20)
# Conversations that a member and an org may have, and the bytes that the turns and documents of one may need.
CONVERSATIONS_PER_MEMBER = env.integer("DROVER_CONVERSATIONS_PER_MEMBER", 1000)
CONVERSATIONS_PER_ORG = env.integer("DROVER_CONVERSATIONS_PER_ORG", 20_000)
CONVERSATION_SIZE = env.integer("DROVER_CONVERSATION_MB", 20) * 10**6
# The bytes that all conversations of an org may need.
CONVERSATIONS_SIZE_PER_ORG = env.integer("DROVER_CONVERSATIONS_MB_PER_ORG", 10_000) * 10**6
# Days after which a conversation that nobody has used is deleted.
CONVERSATION_RETENTION = timedelta(days=env.integer("DROVER_CONVERSATION_DAYS", 365))
# Seconds in which a user has to approve a tool call of the agent.
APPROVAL_LIFETIME = env.integer("DROVER_APPROVAL_LIFETIME_SECONDS", 24 * 3600)
# The language model of organizations that have not chosen one, as provider:name. If empty, they use guided mode.
_language_model = language_model.read()
AGENT_MODEL = _language_model["model"]
AGENT_MODEL_KEY = _language_model["key"]
AGENT_MODEL_URL = _language_model["url"]  # if empty, the provider's own address
# Tokens of that model that each of these organizations may use in a month. If 0, there is no limit.
AGENT_MODEL_MONTHLY_TOKENS = env.integer("DROVER_MODEL_MONTHLY_TOKENS", 0, minimum=0)
# Tokens that a language model can read at once, if Drover does not know it. Older messages are replaced by notes.
AGENT_MODEL_CONTEXT_TOKENS = env.integer("DROVER_MODEL_CONTEXT_TOKENS", 32_000)
# Seconds between two parts of an answer of a language model.
AGENT_MODEL_TIMEOUT = env.integer("DROVER_MODEL_TIMEOUT_SECONDS", 120)

# --- Logging ----------------------------------------------------------------------------------
LOG_LEVEL = env.text("DROVER_LOG_LEVEL", "INFO").upper()
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"structured": {"()": "structlog.stdlib.ProcessorFormatter"}},
    "filters": {"service_unavailable": {"()": "config.logs.ServiceUnavailableFilter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    "loggers": {
        "procrastinate": {"level": "WARNING"},
        # It warns 27 times per request that Google ignores a part of the tools' schemas.
        "langchain_google_genai._function_utils": {"level": "ERROR"},
        "django.request": {"level": "ERROR", "filters": ["service_unavailable"]},
    },
}
LOGGING_CONFIG = "config.logs.configure"

# The locations of the demo's data. `make up` sets them when it runs `manage.py demo`.
DEMO = {
    name: env.text(f"DROVER_DEMO_{name.upper()}", "")
    for name in ("source_url", "warehouse_url", "api_url", "api_key", "airports", "password")
}

"""Settings, all from the environment; a value of the wrong form stops the start with its name (docs/configuration.md)."""

import sys
from datetime import timedelta
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kombu import Queue
from psycopg.conninfo import conninfo_to_dict

from khaacho.configuration import LOG_LEVELS, REDIS, WEB, Environment
from khaacho.process_names import application_name

BASE_DIR = Path(__file__).resolve().parent.parent
env = Environment()


def database(url: str) -> dict[str, Any]:
    """Return Django's description of the database at a libpq URL or key=value string."""
    info = {k: str(v) for k, v in conninfo_to_dict(url).items()}
    info.setdefault("application_name", application_name(sys.argv))
    config: dict[str, Any] = {
        "ENGINE": "khaacho.db",
        "NAME": info.pop("dbname", ""),
        "USER": info.pop("user", ""),
        "PASSWORD": info.pop("password", ""),
        "HOST": info.pop("host", ""),
        "PORT": info.pop("port", ""),
        "CONN_MAX_AGE": 0 if DB_POOL_MAX else DB_CONN_MAX_AGE,
        "CONN_HEALTH_CHECKS": not DB_POOL_MAX,  # khaacho.db looks at those of the pool itself
        # A cursor of the server's outlives its transaction, which PgBouncer would give to somebody else.
        "DISABLE_SERVER_SIDE_CURSORS": DB_PGBOUNCER,
        # None: a statement is never prepared, and so never looked for on another connection.
        "OPTIONS": {**info, "prepare_threshold": None},
    }
    if DB_SESSION_TIMEOUTS:
        config["OPTIONS"]["options"] = (
            f"-c statement_timeout={DB_STATEMENT_TIMEOUT} -c lock_timeout={DB_LOCK_TIMEOUT}"
            f" -c idle_in_transaction_session_timeout={DB_IDLE_IN_TRANSACTION_TIMEOUT}"
        )
    if DB_POOL_MAX:
        config["OPTIONS"]["pool"] = {
            "min_size": max(1, DB_POOL_MIN // WEB_CONCURRENCY),
            "max_size": max(1, DB_POOL_MAX // WEB_CONCURRENCY),
            "timeout": DB_CONNECTION_TIMEOUT / 1000,
            "max_idle": DB_IDLE_TIMEOUT / 1000,
            # Begin anew for the next request: the pool's own pauses double for as long as the
            # server was away, and then go on for as long again.
            "reconnect_timeout": DB_RECONNECT_SECONDS,
        }
    return config


def without_pool(config: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Return the description with connections that end with their use; `options` are libpq's."""
    kept = {k: v for k, v in config["OPTIONS"].items() if k != "pool"}
    return config | {
        "CONN_MAX_AGE": 0,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": kept | options,
        "TEST": {"MIRROR": "default"},
    }


def monitor_database(url: str) -> dict[str, Any]:
    """Return Django's description of the alias that only reads: no pool, short deadlines.

    A thread keeps its connection for a minute of looking around: a new one costs 30 ms of a page, most of
    it the server's, which has to read its catalogue anew. The server ends one that nobody uses any more.
    """
    options: dict[str, Any] = {"application_name": "khaacho monitor", "connect_timeout": 2}
    if DB_SESSION_TIMEOUTS:  # else each reading sets its own, by SET LOCAL
        options["options"] = (
            "-c default_transaction_read_only=on -c statement_timeout=1000 -c lock_timeout=100"
            " -c idle_in_transaction_session_timeout=5000"
            f" -c idle_session_timeout={MONITOR_IDLE_SECONDS * 1000}"
        )
    return without_pool(database(url), **options) | {"CONN_MAX_AGE": MONITOR_IDLE_SECONDS}


def replica_database(url: str) -> dict[str, Any]:
    """Return Django's description of the streaming replica: it reads, and every wait has a deadline."""
    config = database(url)
    options = {k: v for k, v in config["OPTIONS"].items() if k != "options"}
    options |= {"application_name": "khaacho replica", "connect_timeout": 2}
    if DB_SESSION_TIMEOUTS:
        options["options"] = f"-c statement_timeout={REPLICA_TIMEOUT}"
    if pool := options.get("pool"):
        options["pool"] = {**pool, "min_size": 0, "timeout": REPLICA_TIMEOUT / 1000}
    return config | {
        "ENGINE": "khaacho.db.replica",
        "OPTIONS": options,
        "TEST": {"MIRROR": "default"},
    }


DEBUG = env.flag("DEBUG", False)
SECRET_KEY = env.secret(
    "SECRET_KEY",
    "development-only-" + "0" * 40 if DEBUG else "",
    remedy="python -c 'import secrets; print(secrets.token_urlsafe(48))'",
)
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS", ["127.0.0.1", "localhost"])
CSRF_TRUSTED_ORIGINS = env.origins("CSRF_TRUSTED_ORIGINS")

# The pool is per process: DB_POOL_MIN and DB_POOL_MAX are totals, shared out over WEB_CONCURRENCY
# processes. 0 means plain connections, which workers and commands use; wsgi.py turns the pool on.
WEB_CONCURRENCY = env.whole("WEB_CONCURRENCY", 2, least=1)
DB_POOL_MAX = env.whole("DB_POOL_MAX", 0)
DB_POOL_MIN = env.whole("DB_POOL_MIN", min(10, DB_POOL_MAX or 10))
if 0 < DB_POOL_MAX < DB_POOL_MIN:
    env.refuse("DB_POOL_MIN", "is more than DB_POOL_MAX", "10")
DB_CONN_MAX_AGE = env.whole("DB_CONN_MAX_AGE", 60)
# ms that a request waits for a connection
DB_CONNECTION_TIMEOUT = env.whole("DB_CONNECTION_TIMEOUT", 10_000, least=1)
MONITOR_IDLE_SECONDS = 60
DB_RECONNECT_SECONDS = 4.0  # that a pool tries by itself to replace a connection
DB_IDLE_TIMEOUT = env.whole("DB_IDLE_TIMEOUT", 60_000, least=1)
DB_STATEMENT_TIMEOUT = env.whole("DB_STATEMENT_TIMEOUT", 30_000)
DB_LOCK_TIMEOUT = env.whole("DB_LOCK_TIMEOUT", 3_000)
DB_IDLE_IN_TRANSACTION_TIMEOUT = env.whole("DB_IDLE_IN_TRANSACTION_TIMEOUT", 15_000)
# Behind PgBouncer in transaction mode. It refuses start-up options, so that timeouts are the role's own:
# `manage.py set_role_timeouts`.
DB_PGBOUNCER = env.flag("DB_PGBOUNCER", False)
DB_SESSION_TIMEOUTS = env.flag("DB_SESSION_TIMEOUTS", not DB_PGBOUNCER)
if DB_PGBOUNCER and DB_SESSION_TIMEOUTS:
    env.refuse("DB_SESSION_TIMEOUTS", "is on, and PgBouncer refuses such connections: leave it out")

# Begin each statement with its request's id as a comment, for a hunt (docs/logs.md).
SQL_REQUEST_IDS = env.flag("SQL_REQUEST_IDS", False)

DATABASE_URL = env.database_url("DATABASE_URL", "postgresql:///khaacho")
# PostgreSQL itself, past PgBouncer: for whatever needs a session of its own.
DATABASE_DIRECT_URL = env.database_url("DATABASE_DIRECT_URL", DATABASE_URL)
if DB_PGBOUNCER and not env.is_set("DATABASE_DIRECT_URL"):
    env.refuse(
        "DATABASE_DIRECT_URL",
        "is not set: with DB_PGBOUNCER, monitoring and maintenance need PostgreSQL's own address",
        "postgresql://khaacho@127.0.0.1:5432/khaacho",
    )
# What PostgreSQL says about itself is read beside the pool, with short deadlines (docs/monitoring-views.md).
MONITOR_DATABASE_URL = env.database_url("MONITOR_DATABASE_URL", DATABASE_DIRECT_URL)
# Lists and reports are read there (docs/replica.md); without it, from the primary.
DATABASE_REPLICA_URL = env.database_url("DATABASE_REPLICA_URL", "")
REPLICA_MAX_LAG_SECONDS = env.number("REPLICA_MAX_LAG_SECONDS", 5.0, least=1)
REPLICA_TIMEOUT = env.whole("REPLICA_TIMEOUT", 2_000, least=100)  # ms of one statement there
DATABASES = {
    "default": database(DATABASE_URL),
    "direct": without_pool(database(DATABASE_DIRECT_URL)),
    "monitor": monitor_database(MONITOR_DATABASE_URL),
}
if DATABASE_REPLICA_URL:
    DATABASES["replica"] = replica_database(DATABASE_REPLICA_URL)
DATABASE_ROUTERS = [
    "monitoring.database.router.MonitorRouter",
    "monitoring.pages.beside.BesideThePool",
    "khaacho.reading.Router",
]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

REDIS_URL = env.url("REDIS_URL", "redis://127.0.0.1:6379/0", REDIS)
REDIS_TIMEOUT = 0.25  # seconds; redis-py alone would wait a minute on a hung server
REDIS_BUDGET = (
    0.15  # seconds of one request for caches, rates and sessions together; docs/caches.md
)
# Pages, rates and sessions may have a Redis of their own, apart from the queues (docs/caches.md).
CACHE_URL = env.url("CACHE_URL", REDIS_URL, REDIS)
DJANGO_REDIS_CONNECTION_FACTORY = "khaacho.cache_connections.Factory"
CACHES = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": CACHE_URL,
        "KEY_PREFIX": "khaacho",
        "TIMEOUT": 300,
        "OPTIONS": {
            "SOCKET_TIMEOUT": REDIS_TIMEOUT,
            "SOCKET_CONNECT_TIMEOUT": REDIS_TIMEOUT,
            "IGNORE_EXCEPTIONS": True,
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",  # never pickle: Redis is not us
        },
    }
}
SESSION_ENGINE = "khaacho.cache_sessions"

# Which code issues which statement, and how long routes take: counted in each process (docs/monitoring-sources.md).
SOURCES = env.flag("SOURCES", True)
SOURCES_SECONDS = env.number("SOURCES_SECONDS", 60.0)  # between publications; 0: none

JOB_PRIORITY_STEPS = [0, 3, 6]  # of Celery with Redis: urgent, normal, patient
# Celery carries pointers to jobs and nothing else: no results, no retries, no ETA (docs/jobs.md).
CELERY_BROKER_URL = env.url("CELERY_BROKER_URL", REDIS_URL, (*REDIS, "redis+socket"))
CELERY_BROKER_TRANSPORT_OPTIONS = {
    # PostgreSQL remembers the work, so that Redis need not remember who took which message. With
    # kombu's emulated acknowledgements a worker dies when Redis restarts under a running job.
    "ack_emulation": False,
    "priority_steps": JOB_PRIORITY_STEPS,
    # Of workers, who may wait longer than a request; khaacho/broker.py has its own timeouts.
    "socket_timeout": 10,
    "socket_connect_timeout": 5,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # wait for Redis for ever
CELERY_BROKER_CHANNEL_ERROR_RETRY = True  # also while Redis is loading, read-only or full
CELERY_TASK_QUEUES = [
    Queue(name, routing_key=name)
    for name in (
        "whatsapp",
        "credit_score",
        "order_routing",
        "payment_reminders",
        "reports",
        "order_processing",
    )
]
CELERY_TASK_DEFAULT_QUEUE = "order_processing"
CELERY_TASK_CREATE_MISSING_QUEUES = False  # a typo in `worker -Q` stops the start
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_EXPIRES = None  # there are no results, so beat needs no task that cleans them up
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_ENABLE_PREFETCH_COUNT_REDUCTION = False
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_REDIRECT_STDOUTS = False  # what is printed is no log line
CELERY_DB_REUSE_MAX = 500  # else the database connection is opened anew for each job
CELERY_TIMEZONE = "Asia/Kathmandu"
CELERY_BEAT_SCHEDULER = "khaacho.beat:Scheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 5
DJANGO_CELERY_BEAT_TZ_AWARE = True

JOB_BACKOFF_SECONDS = env.number(
    "JOB_BACKOFF_SECONDS", 5.0
)  # first retry; doubles each time, ± 20 %
JOB_REPUBLISH_SECONDS = env.number(
    "JOB_REPUBLISH_SECONDS", 15.0
)  # the sweep publishes again after this
JOB_LEASE_MARGIN_SECONDS = env.number("JOB_LEASE_MARGIN_SECONDS", 15.0)  # lease = hard limit + this
# A worker told to stop lets its jobs end so long, then hands them back (khaacho/jobs/interrupting.py).
JOB_GRACE_SECONDS = env.number("JOB_GRACE_SECONDS", 20.0)
JOB_MEMORY_MB = env.whole("JOB_MEMORY_MB", 1024)  # data of a process that does jobs; 0: no limit

INSTALLED_APPS = [
    "khaacho",
    "vendors",
    "credit",
    "orders",
    "payments",
    "whatsapp",
    "monitoring",
    "khaacho.admin_config.AdminOnDemand",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
]
if find_spec("django_migration_linter"):  # a tool of development
    INSTALLED_APPS.append("django_migration_linter")
MIDDLEWARE = [
    "khaacho.middleware.request_id",
    "django.middleware.security.SecurityMiddleware",
    "khaacho.middleware.api_errors",
    "khaacho.replica.remember_writes",
    "khaacho.api.rates.limited",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "khaacho.middleware.PagePolicy",
    "khaacho.middleware.PageGzip",
    "khaacho.middleware.PageCommon",
    "khaacho.middleware.PageFiles",
    "khaacho.middleware.PageLanguage",
    "khaacho.middleware.PageSessions",
    "khaacho.middleware.PageAuthentication",
    "khaacho.middleware.PageMessages",
]
ROOT_URLCONF = "khaacho.urls"
WSGI_APPLICATION = "khaacho.wsgi.application"
APPEND_SLASH = (
    False  # a redirect would lose a POST's body; the API answers 404 with a problem document
)
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

AUTH_USER_MODEL = "khaacho.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "admin:login"
ACCESS_TOKEN_LIFETIME = timedelta(minutes=5)
REFRESH_TOKEN_LIFETIME = timedelta(days=30)

# Requests a minute by class: of one user (or of an address that has not signed in), and of all the
# users behind one address together, which may be a market's. 0 means no limit.
RATE_LIMITS: dict[str, tuple[int, int]] = {
    "sign_in": (env.whole("RATE_SIGN_IN", 300), 0),  # guesses are limited by khaacho/sign_ins.py
    "read": (env.whole("RATE_READ", 1200), env.whole("RATE_READ_ADDRESS", 12_000)),
    "write": (env.whole("RATE_WRITE", 600), env.whole("RATE_WRITE_ADDRESS", 6000)),
    "order": (env.whole("RATE_ORDER", 120), env.whole("RATE_ORDER_ADDRESS", 2400)),
    "webhook": (env.whole("RATE_WEBHOOK", 60_000), 0),  # by the provider's address
}
RATE_LIMITED = env.flag("RATE_LIMITED", True)  # off for measuring
RATE_SECONDS = 60
# (method, path) to class; a path that ends in * is a prefix. The rest is "read" or "write" by method.
RATE_CLASSES = {
    ("POST", "/api/v1/auth/token/"): "sign_in",
    ("POST", "/api/v1/auth/register/"): "sign_in",
    ("POST", "/api/v1/orders/"): "order",
    ("POST", "/api/v1/whatsapp/*"): "webhook",
    ("GET", "/api/v1/whatsapp/*"): "webhook",
}
IDEMPOTENCY_RETENTION = timedelta(days=30)

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("ne", "नेपाली")]
TIME_ZONE = "Asia/Kathmandu"
USE_TZ = True
USE_THOUSAND_SEPARATOR = True
NUMBER_GROUPING = (3, 2, 0)

# Said in a ribbon on every page of the admin, such as "staging"; nothing on the real site.
ENVIRONMENT_NAME = env.text("ENVIRONMENT_NAME", "")

STATIC_URL = "static/"
STATIC_ROOT = Path(env.text("STATIC_ROOT", str(BASE_DIR / "var" / "static")))
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = DEBUG or env.flag("STATIC_FROM_APPS", False)

SECURE_TLS = env.flag("SECURE_TLS", False)  # the site is served over HTTPS behind a proxy
if DEBUG and SECURE_TLS:
    env.refuse(
        "DEBUG", "is on beside SECURE_TLS: it shows settings to whoever meets an error", "false"
    )
SECURE_SSL_REDIRECT = SECURE_TLS
SECURE_HSTS_SECONDS = 31_536_000 if SECURE_TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_TLS
SECURE_HSTS_PRELOAD = SECURE_TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if SECURE_TLS else None
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_TLS
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 3 * 1024 * 1024  # a WhatsApp webhook may carry 3 MB
API_BODY_MAX_BYTES = 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["khaacho.api.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["khaacho.api.permissions.SignedIn"],
    "DEFAULT_RENDERER_CLASSES": ["khaacho.api.renderers.JSONRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "khaacho.api.negotiation.Negotiation",
    "DEFAULT_PARSER_CLASSES": ["khaacho.api.parsers.BoundedJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "khaacho.api.pagination.Pagination",
    "DEFAULT_FILTER_BACKENDS": [
        "khaacho.api.filters.FilterBackend",
        "khaacho.api.filters.SortBackend",
    ],
    "DEFAULT_SCHEMA_CLASS": "khaacho.api.schema.Schema",
    "EXCEPTION_HANDLER": "khaacho.api.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,
    "DEFAULT_METADATA_CLASS": None,
    # proxies of ours in front, whose X-Forwarded-For is believed; 0 believes only the connection
    "NUM_PROXIES": env.whole("TRUSTED_PROXIES", 0),
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Khaacho",
    "DESCRIPTION": "Orders, credit and payments between shops and wholesalers.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_NAME_OVERRIDES": {
        "OrderStatusEnum": "orders.enums.OrderStatus",
        "PaymentStateEnum": "payments.enums.PaymentState",
    },
}

# The trade's own figures.
VAT_RATE = 13  # per cent, on taxable products
DEFAULT_PAYMENT_TERMS_DAYS = 30
CREDIT_HOLD_DAYS_LATE = 30  # a due more days late than this stops new credit
CREDIT_SCORE_VERSION = "v1"  # of credit/scoring/model.py
# False: what the score's band suggests waits for an officer; True: it is done, but for large rises.
CREDIT_AUTOMATIC_LIMITS = env.flag("CREDIT_AUTOMATIC_LIMITS", False)
ACCEPTANCE_DEADLINE = timedelta(hours=2)
MAX_VENDORS_ASKED = 5
AUTO_COMPLETE_AFTER = timedelta(days=3)
LIMIT_SECOND_PERSON_ABOVE = env.amount("LIMIT_SECOND_PERSON_ABOVE", Decimal("200000.00"))  # NPR
ROUTING_WEIGHTS = {
    "availability": 30,
    "proximity": 20,
    "workload": 15,
    "price": 20,
    "reliability": 15,
}

WHATSAPP_BACKEND = env.class_path("WHATSAPP_BACKEND", "whatsapp.backends.Console")
WHATSAPP_APP_SECRETS = env.names("WHATSAPP_APP_SECRETS")  # several during rotation
WHATSAPP_VERIFY_TOKEN = env.text("WHATSAPP_VERIFY_TOKEN", "")
WHATSAPP_WEBHOOK_MAX_BYTES = 3 * 1024 * 1024
DRAFT_LIFETIME = timedelta(hours=24)

# Who is told of alerts, and how (docs/alerts.md); without an address nobody is.
ALERT_WEBHOOK_URL = env.url("ALERT_WEBHOOK_URL", "", WEB)
ALERT_WEBHOOK_SECRET = env.text("ALERT_WEBHOOK_SECRET", "")
ALERT_EMAIL_TO = env.mail_addresses("ALERT_EMAIL_TO")
ALERT_LEAST_SEVERITY = env.choice(
    "ALERT_LEAST_SEVERITY", "warning", ("info", "warning", "critical")
)
# Of alerts without a rule; what was told is known for 90 days.
ALERT_COOL_DOWN_MINUTES = env.whole("ALERT_COOL_DOWN_MINUTES", 60, most=90 * 24 * 60)
WATCHED_DISKS = env.names("WATCHED_DISKS", [str(BASE_DIR)])  # of the worker's machine
EMAIL_HOST = env.text("EMAIL_HOST", "localhost")
EMAIL_PORT = env.whole("EMAIL_PORT", 25, least=1, most=65_535)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", False)
EMAIL_TIMEOUT = 10  # seconds
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "khaacho@localhost")

# Who may read /metrics: who knows the token, and these addresses; without either it is not there.
METRICS_TOKEN = env.text("METRICS_TOKEN", "")
if METRICS_TOKEN and len(METRICS_TOKEN) < 16:
    env.refuse("METRICS_TOKEN", "must have at least 16 characters")
METRICS_NETWORKS = env.networks("METRICS_ADDRESSES")

# Backups lie here, on a disk that is not the database's; without it there are none (docs/backups.md).
BACKUP_DIR = env.text("BACKUP_DIR", "")
BACKUP_RETENTION_DAYS = env.whole("BACKUP_RETENTION_DAYS", 7, least=1)
# Months of the audit log that ended longer ago go to BACKUP_DIR/archive; 0: none does (docs/partitions.md).
AUDIT_KEPT_MONTHS = env.whole("AUDIT_KEPT_MONTHS", 0, least=0)
# PostgreSQL itself where DATABASE_URL leads to PgBouncer: a backup holds one session.
BACKUP_DATABASE_URL = env.database_url(
    "BACKUP_DATABASE_URL", DATABASE_DIRECT_URL if DB_PGBOUNCER else ""
)
BACKUP_ENCRYPTION_KEY_FILE = env.text("BACKUP_ENCRYPTION_KEY_FILE", "")
BACKUP_ENCRYPTION_RECIPIENTS = env.names("BACKUP_ENCRYPTION_RECIPIENTS")
BACKUP_S3_BUCKET = env.text("BACKUP_S3_BUCKET", "")
BACKUP_S3_PREFIX = env.text("BACKUP_S3_PREFIX", "")
BACKUP_S3_ENDPOINT = env.url("BACKUP_S3_ENDPOINT", "", WEB)  # of who is not Amazon
BACKUP_S3_REGION = env.text("BACKUP_S3_REGION", "")
BACKUP_S3_ACCESS_KEY_ID = env.text("BACKUP_S3_ACCESS_KEY_ID", "")
BACKUP_S3_SECRET_ACCESS_KEY = env.text("BACKUP_S3_SECRET_ACCESS_KEY", "")

# JSON lines on standard error, and by subject in the files of LOG_DIR (docs/logs.md).
LOG_DIR = env.directory("LOG_DIR")
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", LOG_LEVELS)
LOG_KEPT_DAYS = env.whole("LOG_KEPT_DAYS", 30, least=1)
LOG_FILE_MB = env.whole("LOG_FILE_MB", 100, least=1)  # rotated each midnight, and beyond this
LOG_REQUESTS = env.choice("LOG_REQUESTS", "writes", ("none", "writes", "all"))
SLOW_QUERY_MS = env.whole("SLOW_QUERY_MS", 1000)  # 0: none is logged as slow
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "request": {"()": "khaacho.logs.RequestFilter"},
        "orders": {"()": "khaacho.logs.SubjectFilter", "subject": "orders", "field": "order_id"},
        "whatsapp": {"()": "khaacho.logs.SubjectFilter", "subject": "whatsapp"},
        "rejections": {
            "()": "khaacho.logs.SubjectFilter",
            "subject": "khaacho.rejections",
            "also": "django.security.csrf",
        },
        "slow-queries": {"()": "logging.Filter", "name": "khaacho.slow_queries"},
    },
    "formatters": {"json": {"()": "khaacho.logs.JSONFormatter"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "json", "filters": ["request"]},
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "django.server": {"level": "WARNING"},
        "django.db.backends": {"level": "INFO"},  # beneath, statements with their values
        "khaacho.rejections": {"level": "INFO"},
        # a line for each pointer says less than the job's own
        "celery.worker.strategy": {"level": "WARNING"},
        "celery.app.trace": {"level": "WARNING"},
        # that they have begun is told at any level: whoever started them waits for it
        "celery.apps.worker": {"level": "INFO"},
        "celery.beat": {"level": "INFO"},
        # gunicorn's own handlers know neither our form nor what must not be said
        "gunicorn.error": {"level": "INFO", "handlers": [], "propagate": True},
        "gunicorn.access": {"level": "INFO", "handlers": [], "propagate": True},
    },
}
LOG_FILES = ("combined", "error", "orders", "whatsapp", "rejections", "slow-queries")


def log_file(directory: str, name: str) -> dict[str, Any]:
    """Return the description of one of LOG_FILES in a directory."""
    return {
        "class": "khaacho.log_files.SharedFile",
        "filename": str(Path(directory).absolute() / f"{name}.log"),
        "most_bytes": LOG_FILE_MB * 2**20,
        "kept_days": LOG_KEPT_DAYS,
        "formatter": "json",
        "filters": ["request", name] if name in LOGGING["filters"] else ["request"],
        "level": "ERROR" if name == "error" else "NOTSET",
    }


if LOG_DIR:
    LOGGING["handlers"] |= {name: log_file(LOG_DIR, name) for name in LOG_FILES}
    LOGGING["root"]["handlers"] += LOG_FILES

env.stop_if_wrong()

MIGRATION_LINTER_OPTIONS = {
    "exclude_apps": ["auth", "admin", "contenttypes", "sessions", "django_celery_beat"],
    "sql_analyser": "postgresql",  # khaacho.db is PostgreSQL's
    "no_cache": True,
    "ignore_initial_migrations": True,  # their tables are empty
    "ignore_name": ["0011_longer_job_state"],  # a column grows: no rewrite, old code reads on
}

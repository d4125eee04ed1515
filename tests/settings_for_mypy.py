"""Settings with placeholder keys, so that the type checker can load the models on any machine."""

import os

os.environ.setdefault("SECRET_KEY", "type-checks-only")
os.environ.setdefault("ENCRYPTION_KEYS", "type-checks-only")
os.environ.setdefault("API_KEY_PEPPER", "type-checks-only")
os.environ.setdefault("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")

from config.settings import *  # noqa: F403

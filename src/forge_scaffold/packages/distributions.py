"""What packages are called where they are imported, and what kind of package they are."""

from collections.abc import Collection, Mapping

# What the Workers runtime and its SDK put on the path, without any requirement saying so.
PLATFORM_MODULES = frozenset(
    {
        "_cloudflare", "_cloudflare_compat_flags", "_pyodide", "_pyodide_core",
        "_pyodide_entrypoint_helper", "asgi", "cloudflare", "js", "micropip", "pyodide",
        "pyodide_js", "python_modules", "worker_bindings", "workers",
    }
)  # fmt: skip

# Packages whose modules are not called as they are, with underscores.
MODULES: Mapping[str, Collection[str]] = {
    "argon2-cffi": ("argon2",),
    "attrs": ("attr", "attrs"),
    "audioop-lts": ("audioop",),
    "beautifulsoup4": ("bs4",),
    "biopython": ("Bio", "BioSQL"),
    "cloudflare-workers-py": ("workers",),
    "dnspython": ("dns",),
    "django": ("django",),
    "django-cors-headers": ("corsheaders",),
    "djangorestframework": ("rest_framework",),
    "fonttools": ("fontTools",),
    "google-auth": ("google",),
    "google-cloud-storage": ("google",),
    "google-genai": ("google",),
    "google-generativeai": ("google",),
    "grpcio": ("grpc",),
    "ipython": ("IPython",),
    "jinja2": ("jinja2",),
    "libsql-client": ("libsql_client",),
    "markupsafe": ("markupsafe",),
    "matplotlib": ("matplotlib", "mpl_toolkits", "pylab"),
    "msgpack-python": ("msgpack",),
    "mysqlclient": ("MySQLdb",),
    "opencv-python": ("cv2",),
    "opentelemetry-api": ("opentelemetry",),
    "opentelemetry-sdk": ("opentelemetry",),
    "pillow": ("PIL",),
    "protobuf": ("google",),
    "psycopg2-binary": ("psycopg2",),
    "pycryptodome": ("Crypto",),
    "pycryptodomex": ("Cryptodome",),
    "pyjwt": ("jwt",),
    "pynacl": ("nacl",),
    "pyopenssl": ("OpenSSL",),
    "pypdf2": ("PyPDF2",),
    "python-dateutil": ("dateutil",),
    "python-dotenv": ("dotenv",),
    "python-jose": ("jose",),
    "python-json-logger": ("pythonjsonlogger",),
    "python-magic": ("magic",),
    "python-multipart": ("multipart", "python_multipart"),
    "python-slugify": ("slugify",),
    "python-telegram-bot": ("telegram",),
    "pytelegrambotapi": ("telebot",),
    "pywavelets": ("pywt",),
    "pyyaml": ("yaml",),
    "ruamel-yaml": ("ruamel",),
    "scikit-image": ("skimage",),
    "scikit-learn": ("sklearn",),
    "sentry-sdk": ("sentry_sdk",),
    "setuptools": ("pkg_resources", "setuptools"),
    "sqlalchemy-cloudflare-d1": ("sqlalchemy_cloudflare_d1",),
    "tiktoken": ("tiktoken", "tiktoken_ext"),
    "toolz": ("tlz", "toolz"),
    "typing-extensions": ("typing_extensions",),
    "websocket-client": ("websocket",),
    "workers-runtime-sdk": ("workers", "asgi"),
}

# Packages that a Worker uses without importing them, or that are there for what they bring.
NOT_IMPORTED = frozenset(
    {
        "python-multipart", "tzdata", "typing-extensions", "uvicorn", "webtypy", "workers-py",
        "workers-runtime-sdk", "workers-runtime-types", "python-workers-runtime-types",
        "cloudflare-workers-py", "email-validator", "jinja2", "markupsafe",
    }
)  # fmt: skip

# What other packages import when it is there, and which do.
HELPS: Mapping[str, frozenset[str]] = {
    "aiosqlite": frozenset({"sqlalchemy", "tortoise-orm"}),
    "argon2-cffi": frozenset({"django", "passlib", "pwdlib"}),
    "asyncpg": frozenset({"sqlalchemy", "tortoise-orm"}),
    "bcrypt": frozenset({"django", "passlib", "pwdlib"}),
    "brotli": frozenset({"aiohttp", "httpx", "requests", "urllib3"}),
    "cryptography": frozenset({"authlib", "pyjwt", "pymysql", "python-jose"}),
    "greenlet": frozenset({"sqlalchemy"}),
    "h2": frozenset({"httpx", "urllib3"}),
    "html5lib": frozenset({"beautifulsoup4", "pandas"}),
    "itsdangerous": frozenset({"fastapi", "starlette"}),
    "lxml": frozenset({"beautifulsoup4", "pandas"}),
    "openpyxl": frozenset({"pandas"}),
    "orjson": frozenset({"fastapi"}),
    "pyarrow": frozenset({"pandas", "polars"}),
    "pymysql": frozenset({"sqlalchemy"}),
    "socksio": frozenset({"httpx"}),
    "ujson": frozenset({"fastapi"}),
    "zstandard": frozenset({"httpx", "urllib3"}),
}

# Tools of developers: nothing a Worker calls.
TOOLS = frozenset(
    {
        "autopep8", "bandit", "black", "build", "bump2version", "coverage", "deptry", "flake8",
        "forge-workers", "hypothesis", "invoke", "ipdb", "ipykernel", "ipython", "isort",
        "jupyter", "mkdocs", "mypy", "nox", "pip", "pip-audit", "pip-tools", "poetry",
        "pre-commit", "pycodestyle", "pydocstyle", "pyflakes", "pylint", "pyright", "pytest",
        "pytest-asyncio", "pytest-cov", "pytest-mock", "pytest-xdist", "ruff", "setuptools",
        "sphinx", "tox", "twine", "ty", "uv", "wheel", "workers-py",
    }
)  # fmt: skip

# Types for editors: a few KB that nothing runs.
TYPES = frozenset({"python-workers-runtime-types", "webtypy", "workers-runtime-types"})

# What tools are called in an import.
TOOL_MODULES = frozenset(
    {
        "_pytest", "black", "coverage", "flake8", "hypothesis", "ipdb", "IPython", "isort", "mypy",
        "nox", "pylint", "pytest", "pytest_asyncio", "pytest_mock", "ruff", "tox",
    }
)  # fmt: skip


def modules_of(package: str) -> Collection[str]:
    """The modules that a package brings, as far as its name tells."""
    return MODULES.get(package, (package.replace("-", "_"),))

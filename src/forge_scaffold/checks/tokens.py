"""Tokens that can be known by their shape, and whose they are.

The shapes are those that makers publish and that scanners of repositories look for: a prefix, an
alphabet, a length. Keys of a test mode are left out: they open nothing that is real.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple


class Shape(NamedTuple):
    """What the tokens of a maker look like.

    Attributes:
        maker: who gives them out.
        hints: one of these is in every such token; they are much faster to look for.
        pattern: the token.
    """

    maker: str
    hints: tuple[str, ...]
    pattern: str


def _named(names: str, value: str) -> str:
    """A value that has no shape of its own, but a name: in an assignment, JSON, YAML, a shell."""
    return rf"(?:[A-Z]+_)*(?:{names})[\"']?\]?\s*[:=]\s*[\"']?{value}(?![\w-])"


SHAPES: Sequence[Shape] = (
    Shape("Cloudflare", ("cfk_", "cfut_", "cfat_"), r"cf(?:k|ut|at)_[\w-]{44,}"),
    Shape("Cloudflare", ("v1.0-",), r"v1\.0-[0-9a-f]{24}-[0-9a-f]{146}"),
    Shape("Cloudflare Turnstile", ("0x4AAAAAA",), r"0x4AAAAAA[\w-]{26}(?![\w-])"),
    Shape(
        "Cloudflare",
        ("CLOUDFLARE_API_", "CF_API_"),
        _named("(?:CLOUDFLARE|CF)_API_(?:TOKEN|KEY)", r"[\w-]{37,45}"),
    ),
    Shape("Anthropic", ("sk-ant-",), r"sk-ant-(?:api|admin|oat|ort)\d\d-[\w-]{20,}"),
    Shape("OpenAI", ("sk-",), r"sk-(?:proj|svcacct|admin)-[\w-]{40,}|sk-[A-Za-z0-9]{32,}"),
    Shape("OpenRouter", ("sk-or-",), r"sk-or-v1-[0-9a-f]{64}"),
    Shape("Langfuse", ("sk-lf-",), r"sk-lf-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    Shape("Cerebras", ("csk-",), r"csk-[a-z0-9]{48}"),
    Shape(
        "Cohere", ("COHERE_API_KEY", "CO_API_KEY"), _named("CO(?:HERE)?_API_KEY", "[A-Za-z0-9]{40}")
    ),
    Shape("Mistral", ("MISTRAL_API_KEY",), _named("MISTRAL_API_KEY", "[A-Za-z0-9]{32}")),
    Shape("Google", ("AIza",), r"AIza[\w-]{35}"),
    Shape("Google", ("AQ.Ab",), r"AQ\.Ab[\w-]{45,}"),
    Shape("Google", ("GOCSPX-",), r"GOCSPX-[\w-]{28}"),
    Shape("Google", ("1//0",), r"1//0[\w-]{40,}"),
    Shape("Groq", ("gsk_",), r"gsk_[A-Za-z0-9]{40,}"),
    Shape("Hugging Face", ("hf_",), r"hf_[A-Za-z0-9]{34}"),
    Shape("LangSmith", ("lsv2_",), r"lsv2_(?:pt|sk)_[0-9a-f]{32}_[0-9a-f]{10}"),
    Shape("Perplexity", ("pplx-",), r"pplx-[A-Za-z0-9]{48,}"),
    Shape("Pinecone", ("pcsk_",), r"pcsk_[A-Za-z0-9]{4,8}_[A-Za-z0-9]{50,}"),
    Shape("Replicate", ("r8_",), r"r8_[A-Za-z0-9]{37}"),
    Shape("Tavily", ("tvly-",), r"tvly-(?:dev-|prod-)?[A-Za-z0-9]{32}"),
    Shape("xAI", ("xai-",), r"xai-[A-Za-z0-9]{70,}"),
    Shape("AWS", ("AKIA", "ASIA"), r"A[KS]IA[0-9A-Z]{16}"),
    Shape("AWS Bedrock", ("ABSK",), r"ABSK[A-Za-z0-9+/]{109,}={0,2}"),
    Shape("AWS Bedrock", ("bedrock-api-key-",), r"bedrock-api-key-[A-Za-z0-9+/]{60,}={0,2}"),
    Shape(
        "AWS or R2",
        ("SECRET_ACCESS_KEY", "secret_access_key"),
        _named(
            "(?:AWS|R2|S3)_SECRET_ACCESS_KEY|(?:aws|r2|s3)_secret_access_key",
            "[A-Za-z0-9/+]{40,64}",
        ),
    ),
    Shape("Microsoft Entra", ("Q~",), r"[\w~.]{3}\dQ~[\w~.-]{31,34}"),
    Shape("Azure", ("JQQJ99",), r"[A-Za-z0-9]{52}JQQJ99[A-Za-z0-9]{26}"),
    Shape("GitHub", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"gh[pousr]_[A-Za-z0-9]{36,}"),
    Shape("GitHub", ("ghs_",), r"ghs_\d+_eyJ[\w-]+\.[\w-]{20,}\.[\w-]{20,}"),
    Shape("GitHub", ("github_pat_",), r"github_pat_\w{60,}"),
    Shape(
        "GitLab",
        ("glpat-", "glrt-", "gldt-", "glptt-"),
        r"gl(?:pat|rt|dt|ptt)-[\w-]{20,}",
    ),
    Shape("Slack", ("xox",), r"xox[abeprs]-[0-9A-Za-z-]{20,}"),
    Shape("Slack", ("xapp-",), r"xapp-\d-[A-Z0-9]+-\d+-[0-9a-z]{32,}"),
    Shape(
        "Slack",
        ("hooks.slack.com",),
        r"hooks\.slack\.com/(?:services|workflows|triggers)(?:/[A-Za-z0-9]{8,}){3,}",
    ),
    Shape("Stripe or Clerk", ("k_live_", "k_org_live_"), r"[rs]k_(?:org_)?live_[0-9A-Za-z]{24,}"),
    Shape("Stripe", ("whsec_",), r"whsec_[A-Za-z0-9+/]{32,}"),
    Shape("npm", ("npm_",), r"npm_[A-Za-z0-9]{36}"),
    Shape("PyPI", ("pypi-Ag",), r"pypi-Ag(?:EIcHlwaS5vcmc|ENdGVzdC5weXBpLm9yZw)[\w-]{50,}"),
    Shape("1Password", ("ops_eyJ",), r"ops_eyJ[A-Za-z0-9+/]{250,}"),
    Shape("Atlassian", ("ATATT3",), r"ATATT3[\w-]{100,}=?[0-9A-F]{0,8}"),
    Shape("Brevo", ("xkeysib-",), r"xkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16}"),
    Shape("Databricks", ("dapi",), r"dapi[0-9a-f]{32}"),
    Shape("DigitalOcean", ("_v1_",), r"do[opr]_v1_[0-9a-f]{64}"),
    Shape(
        "Discord", ("/api/webhooks/",), r"discord(?:app)?\.com/api/webhooks/\d{17,20}/[\w-]{60,}"
    ),
    Shape("Docker", ("dckr_",), r"dckr_(?:pat|oat)_[\w-]{27,}"),
    Shape("Doppler", ("dp.",), r"dp\.(?:pt|st|ct|sa)\.[\w.-]{40,}"),
    Shape("Figma", ("figd_",), r"figd_[\w-]{40,}"),
    Shape("Fly.io", ("fm2_",), r"fm2_[A-Za-z0-9+/]{100,}"),
    Shape(
        "Grafana", ("glsa_", "glc_"), r"gl(?:sa_[A-Za-z0-9]{32}_[0-9a-f]{8}|c_[A-Za-z0-9+/]{32,})"
    ),
    Shape("HashiCorp Terraform", (".atlasv1.",), r"[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,70}"),
    Shape("HashiCorp Vault", ("hvs.",), r"hvs\.[\w-]{90,}"),
    Shape("Heroku", ("HRKU-AA",), r"HRKU-AA[\w-]{58}"),
    Shape("Linear", ("lin_api_",), r"lin_api_[A-Za-z0-9]{40}"),
    Shape("Neon", ("napi_",), r"napi_[a-z0-9]{60,}"),
    Shape("Netlify", ("nfp_",), r"nfp_[A-Za-z0-9]{36}"),
    Shape("New Relic", ("NRAK-",), r"NRAK-[A-Z0-9]{27}"),
    Shape("Notion", ("ntn_",), r"ntn_[A-Za-z0-9]{43,}"),
    Shape("PlanetScale", ("pscale_",), r"pscale_(?:tkn|oauth|pw)_[\w.=-]{32,}"),
    Shape("Postman", ("PMAK-",), r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}"),
    Shape("SendGrid", ("SG.",), r"SG\.[\w-]{22}\.[\w-]{43}"),
    Shape("Sentry", ("sntry",), r"sntry[su]_[\w=+/]{60,}"),
    Shape(
        "Shopify", ("shpat_", "shpca_", "shppa_", "shpss_"), r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}"
    ),
    Shape("Supabase", ("sbp_", "sb_secret_"), r"sb(?:p_[0-9a-f]{40}|_secret_[\w-]{28,})"),
    Shape("Telegram", (":AA",), r"(?:bot)?\d{8,10}:AA[\w-]{33}"),
    Shape("age", ("AGE-SECRET-KEY-",), r"AGE-SECRET-KEY-1[0-9A-Z]{58}"),
    Shape(
        "private key",
        ("PRIVATE KEY",),
        r"-----BEGIN (?:[A-Z]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:\\[rn]|[\"'\s])+"
        r"(?:[A-Za-z-]+:[^\n]*\n\s*){0,5}[A-Za-z0-9+/=]{40,}",
    ),
    # Turso's and Supabase's among them.
    Shape("JSON Web Token", ("eyJ",), r"eyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{40,}"),
)


class Token(NamedTuple):
    """A token in a text, and where it begins."""

    maker: str
    text: str
    start: int


@cache
def _hint() -> re.Pattern[str]:
    """Any of the hints, by their first letters: much faster to look for than the tokens."""
    rests: dict[str, list[str]] = {}
    for hint in sorted({hint for shape in SHAPES for hint in shape.hints}):
        rests.setdefault(hint[0], []).append(re.escape(hint[1:]))
    parts = (f"{re.escape(first)}(?:{'|'.join(each)})" for first, each in rests.items())
    return re.compile("|".join(parts))


@cache
def _any() -> re.Pattern[str]:
    """Any of the shapes, each with an empty group of its own after it.

    A shape that begins with a group would be tried at every word, not only at its first letter.
    """
    shapes = "|".join(f"(?:{shape.pattern})()" for shape in SHAPES)
    return re.compile(rf"(?<![\w-])(?:{shapes})")


def tokens(text: str) -> Iterator[Token]:
    """What looks like a token."""
    if _hint().search(text):
        for match in _any().finditer(text):
            yield Token(SHAPES[(match.lastindex or 1) - 1].maker, match[0], match.start())

"""Write the pages and data that are derived from the source: `python docs/generate.py [--check]`."""

import ast
import json
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from forge_scaffold.checks import FAMILIES, RULES, Rule
from forge_scaffold.checks.examples import BASE
from forge_scaffold.cli.commands import app
from forge_scaffold.cli.questions_help import default_text
from forge_scaffold.questions import Question, Questionnaire

REPOSITORY = Path(__file__).resolve().parents[1]
TEMPLATE = REPOSITORY / "template"


def cli() -> str:
    """What `forge --help` prints, and the help of each command."""
    names = [
        *((command.name,) for command in app.registered_commands),
        *(
            (group.name, command.name)
            for group in app.registered_groups
            for command in (
                group.typer_instance.registered_commands if group.typer_instance else ()
            )
        ),
    ]
    commands = "\n\n".join(_help(*map(str, name)) for name in names)
    return f"""\
# Command line

{_help()}

{commands}

## Exit codes

| Code | Meaning |
| --- | --- |
| 0 | It worked. |
| 1 | The result failed its check: `forge check` has findings, `forge audit` found a dependency that blocks, an update has conflicts or new findings, `--check` found an update, or the template makes a project that `forge new` refuses. |
| 2 | The command cannot do what it was asked: a mistake in the arguments, a config file, a `forge.toml` or the project. Every problem is listed. |
| 130, 143 | Stopped by Ctrl-C or SIGTERM. Nothing was left behind. |
| 141 | The reader of the output went away, as `head` does. |

`forge new` writes the whole project or nothing. Results go to stdout, everything else to stderr. Colour
appears only on a terminal, and not when `NO_COLOR` is set.

## JSON

With `--json` (`--format json` for `forge check` and `forge audit`), a command prints one JSON document on stdout.
When it fails, that is the error, beside the message on stderr; the exit code stays the same:

```json
{{
  "error": {{
    "message": "all problems as one text",
    "problems": ["team.yaml:3: there is no question \\"auht\\"; did you mean \\"auth\\"?"],
    "exit_code": 2
  }}
}}
```

`forge new --json` prints:

| Key | Value |
| --- | --- |
| `path` | the project's folder |
| `written` | `false` with `--dry-run` |
| `answers` | by question: `value`, and its `origin`: `--set KEY=VALUE`, `FILE:LINE`, `preset NAME (FILE:LINE)`, `prompt`, `organisation (FILE:LINE)` or `default` |
| `template` | `address`, `version`, and `caveat`: what limits updates, or `null` |
| `repository` | what was done in git, or `null` |
| `notes` | what to know or to do, a sentence each |
| `files` | every file of the project, relative to `path` |
| `next` | commands to run next |

`forge status --json` prints:

| Key | Value |
| --- | --- |
| `template` | `address`, `version`, `newest`, `outdated`, and `unreachable`: why the address did not answer, or `null` |
| `answers` | the value of each question |
| `update_waiting` | `true` when an update is written and not committed |
| `conflicts` | files with an open conflict |
| `uncommitted` | files that differ from the last commit |
| `files` | `changed` and `removed` files of the template; `null` when they were not compared |

`forge update --json` prints, as does `forge set`:

| Key | Value |
| --- | --- |
| `project` | the project's folder |
| `written` | `false` with `--dry-run` |
| `template` | `address`, and the version `before` and `after` |
| `answers` | the changed answers: `before` and `after` |
| `files` | `path` and `change`: `added`, `changed` or `removed` |
| `conflicts` | `path` and `reason` |
| `left_out` | files that the template changes and the project has removed |
| `lost_names` | `path`, `line` and `name` of code that uses what the update removed |
| `findings` | new findings of `forge check`: `rule`, `severity`, `path`, `line`, `message` |

`forge fleet status --json` and `forge fleet update --json` print a list with an object for each project: what
`forge status --json` or `forge update --json` prints for it, and

| Key | Value |
| --- | --- |
| `project` | the project's folder, as an absolute path |
| `state` | as in the table: `up to date`, `update available`, `update waiting`, `uncommitted`, `conflicts`, `error`; and for updates `updated`, `findings`, `refused`, `failed`, `stopped` |
| `error` | why there is no result, or `null` |
"""


def _help(*command: str) -> str:
    printed = CliRunner().invoke(app, [*command, "--help"], prog_name="forge", terminal_width=80)
    title = " ".join(["forge", *command])
    # The questions are those of the newest release, and have a page of their own.
    text, questions, _ = printed.stdout.partition("\nQuestions (")
    more = "\n\nIt ends with the [questions](questions.md)." if questions else ""
    return f"## {title}\n\n```text\n{text.rstrip()}\n```{more}"


def questions() -> str:
    """The questions of copier.yml."""
    rows = "\n".join(map(_row, Questionnaire.load(REPOSITORY / "copier.yml")))
    return f"""\
# Questions

The keys of `--set KEY=VALUE`, of a `--config` file, and of the defaults and presets in a
[`forge.toml`](forge-toml.md). They are defined in `copier.yml`.

| Key | Question | Choices | Default |
| --- | --- | --- | --- |
{rows}

A `service_name` is a name that Cloudflare accepts for a Worker. A `description` is text of at most 500 characters,
without control characters other than newlines and tabs. Write lists as `a,b` or `[a, b]` with `--set`, and as lists
in a file.

[answers.schema.json](answers.schema.json) is the JSON Schema of a `--config` file; `forge schema` prints it.
[Answer without being asked](../how-to/answer-without-being-asked.md) shows how to use it in your editor.
"""


def schema() -> str:
    """The JSON Schema of a config file."""
    questionnaire = Questionnaire.load(REPOSITORY / "copier.yml")
    return f"{json.dumps(questionnaire.schema, indent=2, ensure_ascii=False)}\n"


TYPES: Mapping[type, str] = {str: "text", bool: "yes or no"}


def _row(question: Question) -> str:
    choices = ", ".join(
        f"`{value}`" if value in label else f"`{value}` ({label})"
        for value, label in question.choices.items()
    )
    kind = (
        "any of "
        if question.multiselect
        else "one of "
        if question.choices
        else TYPES[question.kind]
    )
    return f"| `{question.name}` | {question.help} | {kind}{choices} | {default_text(question)} |"


def rules() -> str:
    """The rules of `forge check`, a line each."""
    families = "\n\n".join(
        f"## {title} ({prefix})\n\n| Rule | | |\n| --- | --- | --- |\n"
        + "\n".join(
            f"| [{rule.id}](rules/{prefix}.md#{rule.id.lower()}) | {rule.title} | {rule.severity} |"
            for rule in _family(prefix)
        )
        for prefix, (title, _) in FAMILIES.items()
    )
    return f"""\
# Rules

What `forge check` looks for. `forge rule ID` prints the same; `[tool.forge.check]` and comments say
[which rules count where](../how-to/check-a-worker.md). An error will not deploy or will not run, a warning
is likely to hurt, a note does not make a check fail.

{families}
"""


def _family(prefix: str) -> list[Rule]:
    return [rule for name, rule in RULES.items() if name.startswith(prefix)]


def family(prefix: str) -> str:
    """The rules of one family, each with an example and what to use instead."""
    sections = "\n\n".join(map(_section, _family(prefix)))
    return f"# {FAMILIES[prefix][0]} ({prefix})\n\n{sections}\n"


def _section(rule: Rule) -> str:
    return f"""\
<a id="{rule.id.lower()}"></a>

## {rule.id}: {rule.title}

*{rule.severity.capitalize()}, since {rule.since}{"; `--fix` fixes it" if rule.fixable else ""}.* {rule.reason}

**Fix:** {rule.fix}

Example:

{_files(rule.failing)}

Use instead:

{_files(rule.passing)}"""


def _files(files: Mapping[str, str]) -> str:
    languages = {"py": "python", "toml": "toml", "json": "json", "jsonc": "jsonc", "lock": "toml"}
    shown = files or {"src/service.py": BASE["src/service.py"]}
    return "\n\n".join(
        f"`{name}`\n\n```{languages.get(name.rpartition('.')[2], 'text')}\n{text.rstrip()}\n```"
        for name, text in shown.items()
    )


def import_time() -> str:
    """What happens to statements at import time, and what `forge check` says."""
    table = tomllib.loads((REPOSITORY / "tests/runtime/import_time.toml").read_text("utf-8"))
    topics = "\n\n".join(
        f"## {topic}\n\n| Statement | In workerd | `forge check` |\n| --- | --- | --- |\n"
        + "\n".join(map(_statement, rows))
        for topic, rows in table.items()
    )
    return f"""\
# Import time

A Worker's modules are imported before its first request. When you deploy, Cloudflare imports them once, takes a snapshot of
the memory, and starts every isolate from that snapshot. Until the first request there is no network, no timer, no randomness
and no clock. The snapshot holds no JavaScript objects and no files.

Forge's tests run each of these statements in workerd, make a snapshot, start a Worker from it, and compare the result with
what `forge check` reports.

| In workerd | Meaning |
| --- | --- |
| runs | It works, before and after a snapshot. |
| fails at start | The import fails: the Worker starts nowhere. |
| fails at deploy | The Worker starts on your machine, and no snapshot can be made. |
| fails after deploy | It works on your machine. In a deployed Worker it raises an error or has the wrong value. |
| fails in requests | The import succeeds. Using the result in a request raises an error, or the request hangs. |
| wrong value | Nothing fails, and the value is wrong. |

{topics}
"""


def _statement(row: Mapping[str, Any]) -> str:
    """A row of the table, the code in one line for each of its lines."""
    lines = [line for line in row["code"].strip("\n").split("\n") if line]
    code = "<br>".join(map(_code, lines))
    found = ", ".join(
        f"[{rule}](rules/{rule[:3]}.md#{rule.lower()})" for rule in row.get("rules", [])
    )
    unknown = f" ({row['unknown']})" if "unknown" in row else ""
    return f"| {code} | {row['outcome']}{unknown} | {found} |"


def _code(line: str) -> str:
    """A line of code in a table cell. Indentation goes before it: inside, not every renderer keeps it."""
    code = line.lstrip()
    return f"{'&emsp;' * ((len(line) - len(code)) // 2)}`{code}`"


def telemetry() -> str:
    """The columns that a Worker writes, and the dashboard's queries."""
    dashboard = json.loads((TEMPLATE / "dashboards" / "grafana.json.jinja").read_text("utf-8"))
    panels = "".join(map(_panel, dashboard["panels"]))
    return f"""\
# Telemetry in Analytics Engine

With `telemetry: analytics-engine` a Worker writes one data point a provider call, and one a throttled request.
How to look at them: [Watch a service](../how-to/watch-a-service.md).

## Columns

| Column | What it is |
| --- | --- |
{_columns("blob")}
{_columns("double")}
| `index1` | the caller's hash where callers are told apart, else the provider: what the engine samples by |
| `timestamp` | when the point was written |
| `_sample_interval` | how many points the row stands for |

A number that is not known is -1, a text that is not known is empty. `route` is the path as it is declared. `outcome` is
`ok`, `client-left`, `throttled` (no provider was asked), or the kind of error:
{_kinds_of_error()}.
Times are in milliseconds, `fallback` and `stored` are 0 or 1. Columns are added at the end and never change their place.

## Queries

Those of `dashboards/grafana.json`. `$dataset`, `$from`, `$to` (seconds since 1970) and `$interval` (seconds) are filled in by
Grafana. The SQL is what [Analytics Engine has](https://developers.cloudflare.com/analytics/analytics-engine/sql-reference/) of
ClickHouse's; every count is weighted by `_sample_interval`, for where there is much to write, the engine keeps a part.
{panels}"""


def _kinds_of_error() -> str:
    module = TEMPLATE / "src" / "service" / "providers" / "base.py"
    kinds = re.findall(r'(?m)^    kind = "([\w-]+)"$', module.read_text("utf-8"))
    return ", ".join(f"`{kind}`" for kind in kinds)


def _columns(kind: str) -> str:
    """The table rows of the columns of one kind, numbered in the order of the Worker's tuple."""
    module = TEMPLATE / "src" / "service" / "telemetry" / "analytics_engine.py"
    for node in ast.parse(module.read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == f"{kind.upper()}S":
            names = ast.literal_eval(node.value)
            return "\n".join(f"| `{kind}{n}` | `{name}` |" for n, name in enumerate(names, 1))
    raise LookupError(f"{module} has no {kind.upper()}S")


def _panel(panel: Mapping[str, Any]) -> str:
    if panel["type"] == "row":
        return f"\n### {panel['title']}\n"
    (target,) = panel["targets"]
    return f"\n**{panel['title']}.** {panel['description']}\n\n```sql\n{target['query']}\n```\n"


# Files of the template that no project is expected to change, and that are the same in all that have
# them: its tools, the stand-ins they start, and migrations, which are history once they are applied.
OWNED = ("dev/**/*.py", "migrations/*.sql", "scripts/*.mjs", "scripts/*.py")


def sums() -> str:
    """What the template's own files are, so that a project can tell which were changed there."""
    owned = sorted(path for pattern in OWNED for path in TEMPLATE.glob(pattern))
    return "".join(
        f"{sha256(path.read_bytes()).hexdigest()}  {path.relative_to(TEMPLATE).as_posix()}\n"
        for path in owned
    )


def policy() -> str:
    """The template's allow-list, for projects without one, as TOML without [tool.forge]."""
    manifest = (TEMPLATE / "pyproject.toml.jinja").read_text("utf-8")
    _, _, lists = manifest.partition("\n[tool.forge]\n")
    lists, _, _ = lists.replace("[tool.forge.allow]", "[allow]").partition("\n[tool.")
    uncommented = re.sub(r"(?m)^ *#.*\n", "", lists)
    return f"""\
# What a Worker may depend on when its project does not say: the [tool.forge] of
# template/pyproject.toml.jinja, from which docs/generate.py writes this file.
{uncommented}"""


PAGES: Mapping[str, Callable[[], str]] = {
    "docs/reference/cli.md": cli,
    "docs/reference/questions.md": questions,
    "docs/reference/answers.schema.json": schema,
    "docs/reference/rules.md": rules,
    "template/scripts/SHA256SUMS": sums,
    "src/forge_scaffold/policy.toml": policy,
    **{f"docs/reference/rules/{prefix}.md": partial(family, prefix) for prefix in FAMILIES},
    "docs/reference/import-time.md": import_time,
    "docs/reference/telemetry.md": telemetry,
}


def stale() -> list[str]:
    """The pages that are not what the source says now."""
    return [
        page
        for page, text in PAGES.items()
        if not (REPOSITORY / page).is_file()
        or (REPOSITORY / page).read_text(encoding="utf-8") != text()
    ]


if __name__ == "__main__":
    pages = stale()
    if "--check" in sys.argv:
        sys.exit(f"stale: {', '.join(pages)}; run python docs/generate.py" if pages else 0)
    for page in pages:
        (REPOSITORY / page).parent.mkdir(exist_ok=True)
        (REPOSITORY / page).write_text(PAGES[page](), encoding="utf-8")

"""The questions as `forge new --help` lists them."""

from forge_scaffold.questions import Question, Questionnaire
from forge_scaffold.sources import own_template


def text() -> str:
    """Name, help, choices and default of every question of this program's own template."""
    with own_template() as template:
        questionnaire = Questionnaire.load(template / "copier.yml")
    width = max(len(question.name) for question in questionnaire)
    lines = [
        f"  {question.name:<{width}}  {question.help}{_details(question, width)}"
        for question in questionnaire
    ]
    return "\n".join(["Questions (--set KEY=VALUE, or keys of the --config file):", *lines])


def _details(question: Question, width: int) -> str:
    default = default_text(question)
    if not question.choices:
        return f"\n  {'':<{width}}  default: {default}"
    kind = "any of" if question.multiselect else "one of"
    return f"\n  {'':<{width}}  {kind}: {', '.join(question.choices)}; default: {default}"


def default_text(question: Question) -> str:
    """A default as people read it; one that is computed from PATH says so."""
    if isinstance(question.default, list):
        return ", ".join(map(str, question.default))
    if isinstance(question.default, bool):
        return "yes" if question.default else "no"
    text = str(question.default)
    return "the last part of PATH" if "_folder_name" in text else text

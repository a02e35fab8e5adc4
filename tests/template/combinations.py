"""Every set of choices that copier.yml allows, and few of them that hold every pair.

A pair is of two decisions: the value of a question, or, where many may be chosen, one choice in or
out.
"""

from collections.abc import Mapping
from itertools import combinations, product
from typing import TypeAlias

from forge_scaffold.questions import Question, Questionnaire
from tests.support import REPOSITORY

Combination: TypeAlias = Mapping[str, str | list[str]]


def every_combination() -> list[Combination]:
    """All of them; where many values may be chosen, any non-empty subset."""
    questions = [q for q in Questionnaire.load(REPOSITORY / "copier.yml") if q.choices]
    names = [question.name for question in questions]
    return [
        dict(zip(names, values, strict=True)) for values in product(*map(_possible, questions))
    ]


def _possible(question: Question) -> list[str | list[str]]:
    choices = list(question.choices)
    if not question.multiselect:
        return [*choices]
    sizes = range(1, len(choices) + 1)
    return [list(chosen) for size in sizes for chosen in combinations(choices, size)]


def every_pair() -> list[Combination]:
    """Few combinations that hold every pair of decisions, chosen greedily."""
    questions = Questionnaire.load(REPOSITORY / "copier.yml").questions
    candidates = [(each, _pairs(each, questions)) for each in every_combination()]
    missing = set().union(*(pairs for _, pairs in candidates))
    chosen: list[Combination] = []
    while missing:
        best, pairs = max(candidates, key=lambda candidate: len(candidate[1] & missing))
        chosen.append(best)
        missing -= pairs
    return chosen


def every_combination_of_default_providers() -> list[Combination]:
    """Those in which no other provider has a part."""
    default = Questionnaire.load(REPOSITORY / "copier.yml").questions["providers"].default
    assert isinstance(default, list)
    return [each for each in every_combination() if {*each["providers"]} <= {*default}]


def _pairs(
    combination: Combination, questions: Mapping[str, Question]
) -> set[tuple[str, str]]:
    decisions: list[str] = []
    for name, value in combination.items():
        if isinstance(value, str):
            decisions.append(f"{name}={value}")
        else:
            decisions += [f"{name}: {each} {each in value}" for each in questions[name].choices]
    return set(combinations(decisions, 2))


def label(combination: Combination) -> str:
    """The combination in a test's name."""
    values = ("+".join(v) if isinstance(v, list) else v for v in combination.values())
    return ",".join(values)

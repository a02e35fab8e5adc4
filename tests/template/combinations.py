"""Every set of choices that copier.yml allows, and few of them that hold every pair."""

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
    """Few combinations that hold every pair of two questions' values, chosen greedily."""
    candidates = every_combination()
    missing = set().union(*map(_pairs, candidates))
    chosen: list[Combination] = []
    while missing:
        best = max(candidates, key=lambda candidate: len(_pairs(candidate) & missing))
        chosen.append(best)
        missing -= _pairs(best)
    return chosen


def _pairs(combination: Combination) -> set[tuple[str, str]]:
    values = [f"{name}={value}" for name, value in combination.items()]
    return set(combinations(values, 2))


def label(combination: Combination) -> str:
    """The combination in a test's name."""
    values = ("+".join(v) if isinstance(v, list) else v for v in combination.values())
    return ",".join(values)

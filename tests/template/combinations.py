"""Every set of choices that copier.yml allows, and few of them that hold every pair.

A pair is of two decisions: the value of a question, or, where many may be chosen, one choice in or
out.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations
from random import Random
from typing import TypeAlias

from forge_scaffold.questions import Question, Questionnaire
from tests.support import REPOSITORY

Answer: TypeAlias = str | bool | list[str]
Combination: TypeAlias = Mapping[str, Answer]
Pair: TypeAlias = frozenset[str]

CANDIDATES = 20
"""How many combinations are drawn to choose the next one from."""
SEED = 0


@cache
def questionnaire() -> Questionnaire:
    return Questionnaire.load(REPOSITORY / "copier.yml", folder="my-service")


def closed_questions() -> list[Question]:
    """Those with a known set of answers, in the order of copier.yml."""
    return [question for question in questionnaire() if question.choices or question.kind is bool]


def every_combination(of: Iterable[str] | None = None) -> Iterator[Combination]:
    """All of them; where many values may be chosen, any non-empty subset.

    With `of`, all that these questions, and those that decide whether they are asked, allow.
    """
    names = None if of is None else _with_conditions(of)
    return _extended({}, [q for q in closed_questions() if names is None or q.name in names])


def _extended(begun: Combination, rest: Sequence[Question]) -> Iterator[Combination]:
    if not rest:
        yield begun
        return
    question, *others = rest
    if not _is_asked(question.name, *_conditions(question.name, begun)):
        yield from _extended(begun, others)
        return
    for value in _possible(question.name):
        yield from _extended({**begun, question.name: value}, others)


def _with_conditions(names: Iterable[str]) -> set[str]:
    """The questions, and the ones that their `when` mentions."""
    found = set(names)
    for question in reversed(closed_questions()):
        if question.name in found:
            found |= {q.name for q in closed_questions() if q.name in str(question.when)}
    return found


def _conditions(name: str, answers: Combination) -> Iterator[tuple[str, str | bool]]:
    """Of the answers those that the question's `when` mentions."""
    when = str(questionnaire().questions[name].when)
    for other, answer in answers.items():
        if other in when and not isinstance(answer, list):
            yield other, answer


@cache
def _is_asked(name: str, *conditions: tuple[str, str | bool]) -> bool:
    return questionnaire().applies(questionnaire().questions[name], dict(conditions))


@cache
def _possible(name: str) -> list[Answer]:
    question = questionnaire().questions[name]
    if question.kind is bool:
        return [False, True]
    choices = list(question.choices)
    if not question.multiselect:
        return [*choices]
    sizes = range(1, len(choices) + 1)
    return [list(chosen) for size in sizes for chosen in combinations(choices, size)]


def completed(combination: Combination) -> dict[str, object]:
    """A combination with the defaults of what is not asked, as a template sees it."""
    return {**_defaults(), **combination}


@cache
def _defaults() -> Mapping[str, object]:
    return {q.name: questionnaire().default(q, {}) for q in questionnaire()}


@cache
def everything() -> list[Combination]:
    """Few combinations with all that can be switched on, which together have every choice."""
    return [_everything(turn) for turn in range(max(len(_ways(q)) for q in closed_questions()))]


def _everything(turn: int) -> Combination:
    return {q.name: _ways(q)[turn % len(_ways(q))] for q in closed_questions()}


def _ways(question: Question) -> list[Answer]:
    """The ways to switch it on."""
    if question.multiselect:
        return [list(question.choices)]
    if question.kind is bool:
        return [True]
    return [choice for choice in question.choices if choice != "none"]


@cache
def every_pair() -> list[Combination]:
    """Few combinations that hold every pair of decisions, those of everything switched on first.

    Chosen greedily, and always the same ones.
    """
    random = Random(SEED)  # noqa: S311 - a choice of tests
    chosen = [*everything()]
    missing = all_pairs().difference(*map(pairs, chosen))
    while missing:
        wanted = random.choice(sorted(missing, key=sorted))
        candidates = [_drawn(random, wanted, missing) for _ in range(CANDIDATES)]
        best = max(candidates, key=lambda candidate: len(pairs(candidate) & missing))
        chosen.append(best)
        missing -= pairs(best)
    return chosen


@cache
def every_decision() -> list[Combination]:
    """Few of those with every pair, which hold the decisions that are in none of `everything`."""
    missing = set().union(*map(_decisions, every_pair())).difference(*map(_decisions, everything()))
    chosen: list[Combination] = []
    while missing:
        best = max(every_pair(), key=lambda each: len(_decisions(each) & missing))
        chosen.append(best)
        missing -= _decisions(best)
    return chosen


def all_pairs() -> set[Pair]:
    """Every pair that some combination holds: of two questions, and of all the conditions."""
    names = [question.name for question in closed_questions()]
    return {
        pair
        for two in [*combinations(names, 2), *((name,) for name in names)]
        for combination in every_combination(two)
        for pair in pairs(combination)
    }


def _drawn(random: Random, wanted: Pair, missing: set[Pair]) -> Combination:
    """A combination that holds the pair; each further answer adds what it can, else by chance."""
    names = [re.split("[=:]", decision)[0] for decision in wanted]
    begun = random.choice([c for c in every_combination(names) if wanted <= _decisions(c)])
    drawn: dict[str, Answer] = {}
    for question in closed_questions():
        name = question.name
        if name in begun:
            drawn[name] = begun[name]
        elif _is_asked(name, *_conditions(name, drawn)):
            values = random.sample(_possible(name), len(_possible(name)))
            gains = [len(pairs({**begun, **drawn, name: value}) & missing) for value in values]
            drawn[name] = values[gains.index(max(gains))]
    return drawn


def pairs(combination: Combination) -> set[Pair]:
    """The pairs of decisions in a combination."""
    return {frozenset(pair) for pair in combinations(sorted(_decisions(combination)), 2)}


def _decisions(combination: Combination) -> set[str]:
    made: set[str] = set()
    for name, value in combination.items():
        if isinstance(value, list):
            choices = questionnaire().questions[name].choices
            made |= {f"{name}: {each} {each in value}" for each in choices}
        else:
            made.add(f"{name}={value}")
    return made


def label(combination: Combination) -> str:
    """The combination in a test's name: what is not off."""
    shown: list[str] = []
    for name, value in combination.items():
        if isinstance(value, list):
            shown.append("+".join(value))
        elif value not in (False, "none"):
            shown.append(name if value is True else str(value))
    return ",".join(shown) or "defaults"

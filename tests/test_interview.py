"""Questions one after the other, with a way back."""

from pathlib import Path

from forge_scaffold.config import ProvidedAnswer
from forge_scaffold.interview import Interview
from forge_scaffold.questions import Questionnaire

COPIER = """\
name: {type: str, default: x}
auth: {type: str, choices: [clerk, none], default: clerk}
store: {type: str, choices: [none, kv], default: none, when: "{{ auth != 'none' }}"}
size: {type: int, default: 1, validator: "{% if name == 'big' and size < 5 %}too small{% endif %}"}
"""


def interview(folder: Path, **provided: object) -> Interview:
    (folder / "copier.yml").write_text(COPIER)
    answers = {name: ProvidedAnswer(value, "--set") for name, value in provided.items()}
    questions = Questionnaire.load(folder / "copier.yml")
    return Interview(questions, answers, {"size": ProvidedAnswer(7, "organisation")})


def answer(talk: Interview, value: object) -> str:
    question = talk.pending()
    assert question
    talk.answer(question, value)
    return question.name


def pending(talk: Interview) -> str | None:
    question = talk.pending()
    return question.name if question else None


def given(talk: Interview) -> dict[str, object]:
    return {name: each.value for name, each in talk.answers.items()}


def test_what_is_open_is_asked_in_order(tmp_path: Path) -> None:
    talk = interview(tmp_path, auth="clerk")
    assert [answer(talk, "a"), answer(talk, "kv"), answer(talk, 2)] == ["name", "store", "size"]
    assert talk.pending() is None
    assert given(talk) == {"name": "a", "auth": "clerk", "store": "kv", "size": 2}
    assert {each.origin for each in talk.answers.values()} == {"--set", "prompt"}


def test_the_organisations_default_is_suggested(tmp_path: Path) -> None:
    talk = interview(tmp_path, name="a", auth="none")
    question = talk.pending()
    assert question
    assert talk.default(question) == 7


def test_going_back_suggests_the_answer_that_was_given(tmp_path: Path) -> None:
    talk = interview(tmp_path, auth="none")
    answer(talk, "first")
    question = talk.pending()
    assert question
    assert talk.previous(question) == "name"
    talk.back(question)
    question = talk.pending()
    assert question
    assert (question.name, talk.default(question)) == ("name", "first")
    assert talk.previous(question) is None
    talk.back(question)
    assert pending(talk) == "name"


def test_an_answer_that_no_longer_applies_is_dropped(tmp_path: Path) -> None:
    talk = interview(tmp_path)
    for value in ("a", "clerk", "kv", 1):
        answer(talk, value)
    talk.reopen("auth")
    assert answer(talk, "none") == "auth"
    assert pending(talk) is None
    assert given(talk) == {"name": "a", "auth": "none", "size": 1}
    assert talk.previous(None) == "size"


def test_an_answer_that_a_rule_now_refuses_is_asked_again(tmp_path: Path) -> None:
    talk = interview(tmp_path, auth="none")
    answer(talk, "small")
    answer(talk, 2)
    talk.reopen("name")
    answer(talk, "big")
    question = talk.pending()
    assert question
    assert (question.name, talk.default(question)) == ("size", 2)


def test_an_answer_that_was_provided_can_be_changed(tmp_path: Path) -> None:
    talk = interview(tmp_path, name="a", auth="none", size=1)
    assert pending(talk) is None
    talk.reopen("auth")
    assert answer(talk, "clerk") == "auth"
    assert pending(talk) == "store"

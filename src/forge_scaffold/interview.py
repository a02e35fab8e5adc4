"""An interview: which question comes next, when answers can be taken back."""

from collections.abc import Mapping

from forge_scaffold.config import Provided, ProvidedAnswer
from forge_scaffold.questions import Question, Questionnaire

ORIGIN = "prompt"


class Interview:
    """The open questions, one after the other, with a way back.

    An answer given at the prompt that no longer applies, or that a rule refuses after an earlier
    answer has changed, is forgotten; it is the default when its question comes up again.
    """

    def __init__(
        self, questionnaire: Questionnaire, provided: Provided, defaults: Provided
    ) -> None:
        self.questionnaire = questionnaire
        self.defaults = defaults
        self._answers: dict[str, ProvidedAnswer] = dict(provided)
        self._earlier: dict[str, object] = {}

    @property
    def answers(self) -> dict[str, ProvidedAnswer]:
        """The answers so far, of the questions that apply, in their order."""
        answers: dict[str, ProvidedAnswer] = {}
        values: dict[str, object] = {}
        for question in self.questionnaire:
            name = question.name
            if self.questionnaire.applies(question, values):
                if name in self._answers:
                    answers[name] = self._answers[name]
                    values[name] = answers[name].value
                else:
                    values[name] = self._default(question, values)
        return answers

    def pending(self) -> Question | None:
        """The next question to ask; None when all are answered."""
        before: dict[str, object] = {}
        for question in self.questionnaire:
            name = question.name
            if not self.questionnaire.applies(question, before):
                continue
            answer = self._answers.get(name)
            if answer and answer.origin == ORIGIN:
                if self.questionnaire.problem(question, answer.value, before):
                    self.reopen(name)
                    return question
            elif not answer:
                return question
            before[name] = answer.value
        return None

    def default(self, question: Question) -> object:
        """What to suggest: an earlier answer, the organisation's default or the template's."""
        return self._default(question, self.before(question))

    def _default(self, question: Question, before: Mapping[str, object]) -> object:
        name = question.name
        if name in self._earlier:
            return self._earlier[name]
        if name in self.defaults:
            return self.defaults[name].value
        return self.questionnaire.default(question, before)

    def before(self, question: Question) -> dict[str, object]:
        """The answers to the questions that come before this one."""
        values: dict[str, object] = {}
        for name, answer in self.answers.items():
            if name == question.name:
                break
            values[name] = answer.value
        return values

    def answer(self, question: Question, value: object) -> None:
        """Take an answer from the prompt."""
        self._answers[question.name] = ProvidedAnswer(value, ORIGIN)

    def reopen(self, name: str) -> None:
        """Ask a question again, with the present answer as its default."""
        self._earlier[name] = self._answers.pop(name).value

    def previous(self, question: Question | None) -> str | None:
        """The question answered at the prompt before this one (None: after all of them)."""
        order = list(self.questionnaire.questions)
        end = order.index(question.name) if question else len(order)
        answers = self.answers
        asked = [name for name in order[:end] if name in answers and answers[name].origin == ORIGIN]
        return asked[-1] if asked else None

    def back(self, question: Question | None) -> None:
        """Reopen the question asked before this one; if there is one."""
        if name := self.previous(question):
            self.reopen(name)

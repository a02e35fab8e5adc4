"""`forge schema`: the JSON Schema of a config file."""

import json
from pathlib import Path

from forge_scaffold.cli.options import Ref, Template


def schema(template: Template = None, ref: Ref = None) -> None:
    """Print the JSON Schema of --config files, for completion in your editor.

    \b
    Examples:
      forge schema > answers.schema.json
      forge schema --template https://git.example.org/team/forge.git
    """
    from forge_scaffold.cli.template import opened
    from forge_scaffold.organisation import Organisation
    from forge_scaffold.questions import Questionnaire

    with opened(Organisation.of(Path()), template, ref) as source:
        questionnaire = Questionnaire.load(source.root / "copier.yml")
    print(json.dumps(questionnaire.schema, indent=2, ensure_ascii=False))

"""The audit: what the index is asked, and what is made of its answers."""

from collections.abc import Callable

from forge_scaffold.audit import imports
from forge_scaffold.audit.judge import SDK, Audit, judged, staying, total
from forge_scaffold.declarations.inputs import Inputs
from forge_scaffold.packages.resolve import Index
from forge_scaffold.policy import Policy


def audit(
    inputs: Inputs, policy: Policy, index: Index, progress: Callable[[int, int], None]
) -> Audit:
    """Ask the index about every dependency and judge it.

    Args:
        inputs: the dependencies.
        policy: what a Worker may depend on.
        index: whom to ask.
        progress: called with the number of questions answered and the total.
    """
    sources = imports.scan(inputs.root)
    asked = [each.requirement for each in inputs.dependencies if not each.problem]
    probes = index.probes(asked, progress)
    rows = judged(inputs, sources, probes, policy)
    before = index.together(asked, server=True)
    left = staying(rows)
    after = index.together([*left.values(), SDK], server=False)
    return Audit(
        inputs,
        sources,
        rows,
        total(tuple(row.name for row in rows), before, [row.tree for row in rows]),
        total(
            tuple(dict.fromkeys((*left, SDK))),
            after,
            [row.tree for row in rows if row.name in left and row.version],
        ),
        min((probe.as_of for probe in probes.values() if probe.as_of), default=0.0),
        index.offline,
    )

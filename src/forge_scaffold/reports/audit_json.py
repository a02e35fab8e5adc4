"""An audit as one JSON document. Sizes are in bytes; null is what is not known."""

import json
from collections.abc import Sequence
from typing import Any

from forge_scaffold.audit.judge import UPLOAD_LIMIT, Audit, Row, Total
from forge_scaffold.audit.plan import Step
from forge_scaffold.reports.audit_text import notes


def report(audit: Audit, steps: Sequence[Step]) -> str:
    """`dependencies`, `before`, `after`, `limit`, `plan`, `notes`."""
    return json.dumps(
        {
            "source": audit.inputs.source,
            "offline": audit.offline,
            "dependencies": [_row(row) for row in audit.rows],
            "before": _total(audit.before),
            "after": _total(audit.after),
            "limit": UPLOAD_LIMIT,
            "plan": [
                {
                    "title": step.title,
                    "about": step.about,
                    "moves": [
                        {
                            "package": move.package,
                            "action": move.action,
                            "reason": move.reason,
                            "code": list(move.code),
                            "places": list(move.places),
                        }
                        for move in step.moves
                    ],
                }
                for step in steps
            ],
            "notes": list(notes(audit)),
        },
        indent=2,
    )


def _row(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "declared": row.dependency.declared,
        "place": row.dependency.place,
        "group": row.dependency.group or None,
        "locked": row.dependency.locked or None,
        "verdict": row.verdict,
        "why": row.why,
        "blockers": [list(chain) for chain in row.chains],
        "newest": row.newest or None,
        "resolves": row.version or None,
        "transitive": row.transitive if row.tree else None,
        "raw": row.size.raw if row.tree else None,
        "gzip": row.size.gzip if row.tree else None,
        "unmeasured": list(row.size.unknown),
        "estimated": list(row.size.estimated),
        "cautions": list(row.cautions),
        "migration": row.migration or None,
        "replacement": row.replacement.by or None if row.replacement else None,
        "facts": [
            {"says": fact.says, "date": f"{fact.date:%Y-%m-%d}", "source": fact.source}
            for fact in row.facts
        ],
        "imported": [{"path": str(place.path), "line": place.line} for place in row.places],
        "tree": {package.name: list(package.needs) for package in row.tree},
    }


def _total(total: Total) -> dict[str, Any]:
    return {
        "direct": list(total.direct),
        "packages": len(total.tree),
        "raw": total.size.raw,
        "gzip": total.size.gzip,
        "unmeasured": list(total.size.unknown),
        "estimated": list(total.size.estimated),
        "fits": total.size.fits,
        "failure": total.failure or None,
    }

"""Why a state cannot be used."""

from __future__ import annotations

import json


def declared_anew(identity: str, other: str) -> str:
    """Return a sentence about the user's own kernels that differ between two pipelines, told by their identities; empty
    if there is none.
    """
    digests = [
        {step["kernel"]: step["digest"] for step in json.loads(text).get("steps", ()) if "digest" in step}
        for text in (identity, other)
    ]
    differ = [name for name, digest in digests[0].items() if digests[1].get(name, digest) != digest]
    if not differ:
        return ""
    return f"{', '.join(differ)} has been declared anew since: its code, a helper or a constant is another. "

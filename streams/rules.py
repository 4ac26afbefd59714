"""Which rules timers, days and counters follow from states by."""

from hashlib import blake2b
from pathlib import Path

import models

#: What decides besides the models: how a shard folds.
_FOLDS = ("common/shard.py", "lifecycle/shard.py", "suppression/shard.py", "correlation/shard.py")

#: Rooms of the models that states do not depend on: how callbacks are read and signed.
_NO_RULES = frozenset({"providers", "signatures"})


def fingerprint() -> str:
    """Changes whenever a rule may have changed: it is made of the source of all of them.

    A store on disk that other rules wrote is folded again from its states (ADR 0015).
    """
    found = blake2b(digest_size=16)
    here = Path(__file__).parent
    for folder in map(Path, models.__path__):
        for path in sorted(folder.rglob("*.py")):
            if path.parent.name not in _NO_RULES:
                found.update(path.read_bytes())
    for name in _FOLDS:
        found.update((here / name).read_bytes())
    return found.hexdigest()

"""A meter that keeps what it was given; a name or label outside the table fails."""

from collections import Counter
from collections.abc import Iterable

from models.metrics import BY_NAME


class KeptMeter:
    """values: by name and labels, the sum of a counter or the last of a gauge."""

    def __init__(self) -> None:
        self.values: Counter[tuple[str, ...]] = Counter()

    def add(self, name: str, value: float = 1, **labels: str) -> None:
        self.values[self._key(name, "counter", labels)] += value  # type: ignore[assignment]

    def set(self, name: str, value: float, **labels: str) -> None:
        self.values[self._key(name, "gauge", labels)] = value  # type: ignore[assignment]

    def observe(self, name: str, value: float, **labels: str) -> None:
        self.values[self._key(name, "histogram", labels)] += 1

    def observe_many(self, name: str, values: Iterable[float], **labels: str) -> None:
        self.values[self._key(name, "histogram", labels)] += len(list(values))

    def _key(self, name: str, kind: str, labels: dict[str, str]) -> tuple[str, ...]:
        metric = BY_NAME[name]
        assert metric.kind == kind
        assert set(metric.labels) == set(labels)
        return name, *(labels[label] for label in metric.labels)

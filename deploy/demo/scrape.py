"""Reads metrics of this process or of another one, to follow its progress."""

import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

Samples = dict[str, float]
"""Values by name, summed over all labels."""

TIMEOUT_S = 5.0


def samples_of(registry: CollectorRegistry, *names: str) -> Samples:
    """The samples of these names in a registry of this process."""
    return _sums(registry.collect(), names)


def samples_at(url: str, *names: str) -> Samples:
    """The samples of these names on a /metrics page; none while the page does not answer."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
            text = answer.read().decode()
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return {}
    return _sums(text_string_to_metric_families(text), names)


def is_ready(url: str) -> bool:
    """Whether a /readyz page answers that all is well."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S):
            return True
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return False


def _sums(families: Iterable[Metric], names: tuple[str, ...]) -> Samples:
    sums: defaultdict[str, float] = defaultdict(float)
    for family in families:
        for sample in family.samples:
            if sample.name in names:
                sums[sample.name] += sample.value
    return dict(sums)

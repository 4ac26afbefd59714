"""All tests of the lifecycle agent run with states in memory and with states on disk."""

from tests.support.stores import in_memory_and_on_disk as in_memory_and_on_disk

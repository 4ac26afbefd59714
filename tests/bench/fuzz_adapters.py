"""Feeds adapters what covers more and more of their code, until something breaks.

python -m tests.bench.fuzz_adapters --seconds 600 --corpus build/fuzz

Needs `pip install atheris`, which the project does not depend on. A finding is a file in the corpus
folder, named crash-… or timeout-…; `python -m tests.bench.fuzz_adapters FILE` tries it again.
Its first byte is the adapter, its second the kind of callback.
"""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

try:
    import atheris  # type: ignore[import-untyped]
except ImportError:
    sys.exit("tests.bench.fuzz_adapters: atheris is missing. Fix: pip install atheris")

with atheris.instrument_imports(include=["models"]):
    from models.providers import ADAPTERS
    from models.providers.callback import Callback

from tests.models.providers.samples import SAMPLES_BY_PROVIDER
from tests.support.translated import check_translation

#: A callback that takes longer is a finding.
TIMEOUT_S: Final = 5
NAMES: Final = sorted(ADAPTERS)
TYPES: Final = ("application/json", "application/x-www-form-urlencoded", "text/plain")
#: What mutations of bytes seldom find.
WORDS: Final = [
    b"1e99999999", b"-1e-99999999", b"NaN", b"Infinity", b"\\\\ud800", b"\\\\u0000", b"%00",
    b"%ED%A0%80", b"acme/m1/2", b"2099-12-31T23:59:59+14:00", b"id:1 stat:DELIVRD err:000",
]  # fmt: skip


def try_one(data: bytes) -> None:
    """Translate a callback; an AssertionError or any other exception is a finding."""
    if len(data) < 2:
        return
    provider, kind, content = NAMES[data[0] % len(NAMES)], data[1] % 4, data[2:]
    if kind == 3:
        callback = Callback(query=content.decode("utf-8", "replace"))
    else:
        callback = Callback(content, TYPES[kind])
    check_translation(provider, callback)


def _seed(corpus: Path) -> None:
    """Write the samples as first inputs."""
    for number, name in enumerate(NAMES):
        for at, sample in enumerate(SAMPLES_BY_PROVIDER[name]):
            callback = sample.callback
            kind = TYPES.index(callback.content_type) if callback.body else 3
            content = callback.body or callback.query.encode()
            (corpus / f"sample-{name}-{at}").write_bytes(bytes([number, kind]) + content)
    (corpus.parent / "words").write_text(
        "".join(f'"{word.decode()}"\n' for word in WORDS), encoding="ascii"
    )


def main() -> None:
    """Fuzz for a while, or try files again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--corpus", type=Path, default=Path("build/fuzz"))
    options: Any = parser.parse_args()
    for file in options.files:
        try_one(file.read_bytes())
    if options.files:
        return
    corpus: Path = options.corpus / "inputs"
    corpus.mkdir(parents=True, exist_ok=True)
    _seed(corpus)
    arguments = [
        sys.argv[0],
        str(corpus),
        f"-max_total_time={options.seconds}",
        f"-timeout={TIMEOUT_S}",
        f"-dict={options.corpus / 'words'}",
        f"-artifact_prefix={options.corpus}/",
        "-max_len=8192",
    ]
    atheris.Setup(arguments, try_one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()

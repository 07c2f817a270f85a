"""`unitalker data`: datasets to train and measure on."""

from __future__ import annotations

from pathlib import Path

from unitalker.cli.choices import check_folder


def import_corpus(kind: str, source: Path, output: Path) -> int:
    """Convert a corpus, as published, into dataset folders.

    Parameters
    ----------
    kind
        Which corpus: the name of an importer, such as grid or facegood.
    source
        Folder of the corpus.
    output
        Folder to make the datasets in.
    """
    from unitalker.data.importers import importer

    run = importer(kind)
    check_folder(source, output)
    for folder in run(source, output):
        print(folder)
    return 0

"""The tree of verbs, and the texts that `--help` shows."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from cyclopts import App

from unitalker.cli.animate import EXAMPLES, animate
from unitalker.cli.annotate import EXAMPLES as ANNOTATE_EXAMPLES
from unitalker.cli.annotate import annotate
from unitalker.cli.bench import EXAMPLES as BENCH_EXAMPLES
from unitalker.cli.bench import data_efficiency
from unitalker.cli.build_open import EXAMPLES as OPEN_EXAMPLES
from unitalker.cli.build_open import build_open
from unitalker.cli.data import (
    IMPORT_EXAMPLES,
    PCA_EXAMPLES,
    SHARD_EXAMPLES,
    SYNTHESIZE_EXAMPLES,
    import_corpus,
    pca,
    shard,
    synthesize,
)
from unitalker.cli.doctor import EXAMPLES as DOCTOR_EXAMPLES
from unitalker.cli.doctor import doctor
from unitalker.cli.evaluate import EXAMPLES as EVALUATE_EXAMPLES
from unitalker.cli.evaluate import evaluate
from unitalker.cli.released import EXAMPLES as RELEASED_EXAMPLES
from unitalker.cli.released import import_released
from unitalker.cli.study import BUILD_EXAMPLES, SCORE_EXAMPLES
from unitalker.cli.study import build as study_build
from unitalker.cli.study import score as study_score
from unitalker.cli.tables import EXAMPLES as TABLE_EXAMPLES
from unitalker.cli.tables import NAMES, command
from unitalker.cli.train import EXAMPLES as TRAIN_EXAMPLES
from unitalker.cli.train import train
from unitalker.cli.view import EXAMPLES as VIEW_EXAMPLES
from unitalker.cli.view import UNIFY_EXAMPLES, unify, view
from unitalker.cli.work import models


def _version() -> str:
    try:
        return version("unitalker")
    except PackageNotFoundError:
        return "unknown (not installed)"


app = App(
    name="unitalker",
    help="Any voice in, 3D facial animation out.\n\nFirst try: unitalker animate speech.wav -o face.glb",
    version=_version,
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)
data = App(name="data", help="Make or convert datasets to train on.", help_format="plaintext")
data.command(
    synthesize,
    name="synthesize",
    help_epilogue=SYNTHESIZE_EXAMPLES,
    usage="Usage: unitalker data synthesize [OPTIONS] [OUTPUT]",
)
data.command(import_corpus, name="import", help_epilogue=IMPORT_EXAMPLES)
data.command(
    annotate,
    name="annotate",
    help_epilogue=ANNOTATE_EXAMPLES,
    usage="Usage: unitalker data annotate --output PATH [OPTIONS] [VIDEOS...]",
)
data.command(pca, name="pca", help_epilogue=PCA_EXAMPLES)
data.command(doctor, name="doctor", help_epilogue=DOCTOR_EXAMPLES)
data.command(view, name="view", help_epilogue=VIEW_EXAMPLES)
data.command(unify, name="unify", help_epilogue=UNIFY_EXAMPLES)
data.command(shard, name="shard", help_epilogue=SHARD_EXAMPLES)
data.command(build_open, name="build-open", help_epilogue=OPEN_EXAMPLES)
app.command(
    animate, name="animate", help_epilogue=EXAMPLES, usage="Usage: unitalker animate [OPTIONS] [INPUTS...]"
)
app.command(models, name="models", usage="Usage: unitalker models [OPTIONS] [NAMES...]")
app.command(
    evaluate,
    name="evaluate",
    help_epilogue=EVALUATE_EXAMPLES,
    usage="Usage: unitalker evaluate [OPTIONS] [MODEL] [DATASET]",
)
app.command(import_released, name="import", help_epilogue=RELEASED_EXAMPLES)
app.command(
    train, name="train", help_epilogue=TRAIN_EXAMPLES, usage="Usage: unitalker train [OPTIONS] [CONFIG]"
)
app.command(data)
bench = App(
    name="bench",
    help="Measurements that train models: the paper's tables and figures, and data efficiency.",
    help_format="plaintext",
)
bench.command(data_efficiency, name="data-efficiency", help_epilogue=BENCH_EXAMPLES)
for table in NAMES:
    bench.command(command(table), name=table, help_epilogue=TABLE_EXAMPLES)
app.command(bench)
study = App(name="study", help="Ask people which of two systems they prefer.", help_format="plaintext")
study.command(
    study_build,
    name="build",
    help_epilogue=BUILD_EXAMPLES,
    usage="Usage: unitalker study build A B --audio DIR --output DIR [OPTIONS]",
)
study.command(
    study_score,
    name="score",
    help_epilogue=SCORE_EXAMPLES,
    usage="Usage: unitalker study score ANSWERS... [OPTIONS]",
)
app.command(study)

"""The figures that the paper prints (Fan et al. 2024, Tab. 2–11), as data: our tables put them beside their own.

All are on the paper's data, with pre-trained encoders and 100 epochs; times are of 10 s of sound on one V100.
"""

from __future__ import annotations

from dataclasses import dataclass

SETS = ("D0", "D1", "D2", "D3", "D4", "D5", "D6", "D7")
"""The eight datasets of A2F-Bench, in the paper's order."""
HOURS = dict(zip(SETS, (0.33, 0.56, 0.67, 5.49, 1.48, 3.65, 1.24, 5.11), strict=True))
"""Length of each (Tab. 1)."""


@dataclass(frozen=True)
class Published:
    """A table as printed. unit: of its figures, as far as the paper's text tells. columns: of every row. rows: label →
    figures, None where the paper has none."""

    title: str
    unit: str
    columns: tuple[str, ...]
    rows: dict[str, tuple[float | None, ...]]

    def at(self, row: str, column: str) -> float | None:
        """The figure of a row and column, None where there is none."""
        values = self.rows.get(row)
        return values[self.columns.index(column)] if values is not None and column in self.columns else None


_QUALITY = ("LVE", "MVE", "UFVE", "FDD", "params", "seconds")
PUBLISHED: dict[str, Published] = {
    "table2": Published(
        "Comparison on BIWI-Test-A",
        "LVE 1e-4 U², MVE and UFVE 1e-3 U, FDD 1e-5 U² (U is CodeTalker's unit, 0.2 u); parameters in millions",
        _QUALITY,
        {
            "FaceFormer": (4.9836, 7.2750, 6.9081, 4.0062, 109, 0.705),
            "CodeTalker": (4.7914, 7.3784, 7.0050, 4.2147, 561, 4.4),
            "SelfTalk": (4.2485, 6.9152, 6.5428, 3.5851, 539, 0.071),
            "FaceDiffuser": (4.2985, 6.8088, 6.6220, 3.9101, 189, 16.50),
            "UniTalker-B-[D0]": (4.3681, 6.8948, 6.6277, 4.6789, 92, 0.024),
            "UniTalker-B-[D0-D7]": (4.0804, 6.6458, 6.3774, 5.0438, 92, 0.024),
            "UniTalker-L-[D0-D7]": (3.8587, 6.4166, 6.1483, 5.2307, 313, 0.054),
        },
    ),
    "table2-vocaset": Published(
        "Comparison on VOCASET, split anew 32/4/4",
        "LVE 1e-5 m², MVE and UFVE 1e-3 m; the text gives no unit of FDD; parameters in millions",
        _QUALITY,
        {
            "FaceFormer": (1.1696, 0.6364, 0.4972, 2.4812, 92, 0.624),
            "CodeTalker": (1.1182, 0.5750, 0.4708, 1.2594, 315, 3.464),
            "SelfTalk": (0.9626, 0.5665, 0.4805, 1.0511, 450, 0.053),
            "FaceDiffuser": (0.9684, 0.5768, 0.4772, 1.7335, 89, 13.08),
            "UniTalker-B-[D1]": (0.9381, 0.5695, 0.4829, 1.2115, 92, 0.022),
            "UniTalker-B-[D0-D7]": (0.8136, 0.5338, 0.4494, 1.3962, 92, 0.022),
            "UniTalker-L-[D0-D7]": (0.8303, 0.5524, 0.4756, 1.5206, 313, 0.053),
        },
    ),
    "table3": Published(
        "User study: how often UniTalker was preferred",
        "% of answers",
        ("realistic", "lip sync", "emotion"),
        {
            "FaceFormer": (74.7, 76.6, 78.2),
            "CodeTalker": (71.8, 77.1, 80.7),
            "SelfTalk": (72.5, 75.0, 82.1),
        },
    ),
    "table4": Published(
        "One model of many heads against data brought to one topology, LVE on D1",
        "1e-6 m²",
        ("D1", "D0-D1", "D0-D2", "D0-D3", "D0-D4", "D0-D5", "D0-D6", "D0-D7"),
        {
            "Preprocessing": (9.1528, 9.4856, 8.2400, 8.0779, 8.4730, 8.7049, 8.4748, 8.7532),
            "UniTalker": (9.1528, 8.7353, 7.9243, 8.4495, 8.2336, 8.0785, 8.4192, 8.3035),
        },
    ),
    "table5": Published(
        "LVE of models of one dataset, of all, and fine-tuned",
        "scaled by dataset, so that they read as small numbers (D0 1e-4 U², D1 1e-6 m²)",
        SETS,
        {
            "L-[D*]": (4.279, 9.153, 8.881, 8.445, 1.370, 2.040, 1.043, 1.235),
            "L-[D0-D7]": (3.859, 8.303, 8.648, 8.991, 1.326, 2.056, 1.145, 1.211),
            "L-FT": (3.816, 8.060, 8.56, 8.417, 1.30, 1.848, 0.998, 1.178),
        },
    ),
    "table6": Published(
        "LVE by audio encoder",
        "as in Tab. 5",
        SETS,
        {
            "wav2vec2-base-960h": (4.491, 9.916, 9.887, 9.812, 1.585, 2.217, 1.351, 1.409),
            "wavlm-base": (4.033, 8.269, 9.253, 9.117, 1.417, 2.044, 1.184, 1.340),
            "wavlm-base-plus": (4.080, 8.136, 9.776, 9.053, 1.392, 1.975, 1.158, 1.264),
            "wav2vec2-large-xlsr-53": (3.859, 8.303, 8.648, 8.991, 1.326, 2.056, 1.145, 1.211),
        },
    ),
    "table7": Published(
        "LVE by motion decoder",
        "as in Tab. 5",
        SETS,
        {
            "TCN": (3.859, 8.303, 8.648, 8.991, 1.326, 2.056, 1.145, 1.211),
            "Transformer": (3.971, 8.679, 8.756, 9.567, 1.335, 1.993, 1.092, 1.372),
        },
    ),
    "table8": Published(
        "One-shot learning on one sentence of D1",
        "LVE 1e-5 m², LVD 1e-3 m (by size; the text gives none)",
        ("LVE", "LVD"),
        {
            "encoder alone": (3.4812, 5.1479),
            "UniTalker-L-[D0, D2-D7]": (2.2169, 4.2043),
            "Decoder of UniTalker-L-[D0, D2-D7]": (2.2070, 4.1614),
        },
    ),
    "table9": Published(
        "LVE by the frequency adaptor's place",
        "as in Tab. 5",
        SETS,
        {
            "Pos-0": (3.951, 8.118, 8.808, 9.201, 1.408, 2.131, 1.096, 1.289),
            "Pos-1 (UniTalker)": (3.859, 8.303, 8.648, 8.991, 1.326, 2.056, 1.145, 1.211),
        },
    ),
    "table10": Published(
        "FaceFormer with and without autoregression",
        "LVE 1e-4 U² (BIWI-Test-A) and 1e-5 m² (VOCASET); seconds for 10 s of sound",
        ("BIWI LVE", "BIWI seconds", "VOCASET LVE", "VOCASET seconds"),
        {
            "autoregressive": (4.9836, 0.705, 1.1221, 0.624),
            "not autoregressive": (4.9259, 0.024, 1.1453, 0.021),
        },
    ),
    "table11": Published(
        "Hard datasets, animated as the pivot identity: LVE",
        "scaled as nowhere else in the paper",
        ("D4", "D7"),
        {
            "UniTalker-[D0-D3]": (5.5730, None),
            "UniTalker-[D0-D4]": (3.6875, None),
            "UniTalker-[D0-D6]": (None, 6.4963),
            "UniTalker-[D0-D7]": (None, 3.0958),
        },
    ),
}
"""Name of our command → the paper's table."""
HALF_BIWI_LVE = 4.197
"""Fig. 4: UniTalker-[D1-D7] fine-tuned on half of D0, 1e-4 U²."""

"""Beginning a run with weights that are there: another run's, or a pre-trained encoder's."""

from __future__ import annotations

import torch

from unitalker.models.baselines.own import OwnDecoder
from unitalker.models.mini import MiniEncoder
from unitalker.models.unitalker import UniTalker

IDENTITIES = "decoder.identity.weight"


def transfer(old: UniTalker, new: UniTalker, keep: str = "all") -> list[str]:
    """Copy all tensors of the same name and shape, identities by name; unknown identities begin as the pivot.

    keep: "all", or "encoder" for its tensors alone. Returns the names of the tensors that stay fresh.
    """
    tensors, fresh = old.state_dict(), []
    rows = {n: i for i, n in enumerate(old.config.identities)}
    with torch.no_grad():
        for key, value in new.state_dict().items():
            if keep == "encoder" and not key.startswith("encoder."):
                fresh.append(key)
            elif _of_identities(key) and key in tensors and tensors[key].shape[1:] == value.shape[1:]:
                chosen = [rows.get(name, -1) for name in new.config.identities]
                value.copy_(tensors[key][[*chosen, -1]])
            elif key in tensors and tensors[key].shape == value.shape:
                value.copy_(tensors[key])
            else:
                fresh.append(key)
    return fresh


def settle_pivot(tensors: dict[str, torch.Tensor]) -> None:
    """Put the mean of the identities in the pivot's row, in place, where a run never trains it."""
    for name in filter(_of_identities, tensors):
        table = tensors[name]
        if len(table) > 1 and table.is_floating_point():
            with torch.no_grad():
                table[-1] = table[:-1].mean(0)


def _of_identities(key: str) -> bool:
    """Whether a tensor has a row for each identity and one for the pivot."""
    return key.startswith(IDENTITIES.removesuffix("weight"))


def load_encoder(model: UniTalker) -> None:
    """Give a pre-trained encoder its published weights, and a baseline's decoder those that it begins with.

    Raises ModelError where they can't be had.
    """
    if not isinstance(model.encoder, MiniEncoder):
        model.encoder.load_pretrained()
    if isinstance(model.decoder, OwnDecoder):
        model.decoder.load_pretrained()

"""Published models to compare with, as decoders of this package's model.

Encoder, identities, annotations, training, checkpoints, animation and evaluation are those of every other model. What
a baseline brings is one file with one class, a subclass of `own.OwnDecoder`:

- `__init__(self, features: int, config: UniTalkerConfig)`: size of the encoder's features, the whole configuration
  (`config.decoder` is its own settings, `config.heads` has the numbers per frame of each head, `config.identities` the
  names). It makes `self.identity`, an `nn.Embedding` with `len(config.identities) + 1` rows, the last for the pivot. A
  model without identities makes a narrow table and does not look at it. It makes its own heads; `UniTalker.heads` is
  empty for it. Parameters that must not train have `requires_grad` False from the start.
- `codes(heard, identity, name)`: inference, codes (B, frames, head_dim) of the head `name`.
- `terms(heard, identity, name, true, mask)`: training, the predicted codes or None, and {loss: (B, frames)}. The names
  stand in `losses`. The trainer sums the terms, means over a row's own frames, logs each as `<head>.<loss>`, and logs
  the annotation's own loss (Eq. 2) of the predicted codes, which is not trained on, as `<head>`.
- `heard.own` are the frames that belong to their row in a padded batch: a row's codes must not depend on what lies
  behind it. Codes and losses of frames behind a row's end may be anything finite.
- `from_sound` is False for a decoder that is trained without sound (a motion autoencoder): the encoder is then neither
  run nor trained, validation reads the codes that `terms` gives, and `animate` is refused.

Its settings are a class in `config/baselines.py` with `kind` and `reads` (the adaptors that it can stand behind, see
`Heard.features`), a member of `config.model.DecoderConfig`. The line in `table.DECODERS` says which class a kind builds.
Nothing else in the package asks for a kind.
"""

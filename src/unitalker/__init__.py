"""UniTalker: any voice in, 3D facial animation out."""

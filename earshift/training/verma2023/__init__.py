"""Diverse embeddings: four views of a second of sound, a transformer on each, a linear model on all of them."""

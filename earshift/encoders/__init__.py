"""What makes a clip a vector: one file per encoder."""

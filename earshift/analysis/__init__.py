"""What the vectors say: one file per analysis. Nothing here knows audio or encoders."""

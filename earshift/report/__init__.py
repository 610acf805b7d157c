"""What people look at. Only ``track`` knows MLflow."""

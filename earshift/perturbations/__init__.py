"""How a clip is deformed: one file per family of perturbations."""

"""Post-decision proximal policy optimisation."""

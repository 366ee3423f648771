"""Model components, their sum, and the models users fit."""

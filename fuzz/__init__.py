"""Programs that look for differences without end: one module per pair of things that must be equal."""

"""The parts of bench/run; one module each, and what they have in common (rig, provider, report)."""

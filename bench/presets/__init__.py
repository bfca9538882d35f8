"""What bench/providers consists of: the presets, and the course of one of them."""

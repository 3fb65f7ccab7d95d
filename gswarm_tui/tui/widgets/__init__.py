"""The parts of screens, one widget in each file, with its styles."""

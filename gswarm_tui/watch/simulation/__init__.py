"""A fleet that is only computed: everything follows from a seed and the time."""

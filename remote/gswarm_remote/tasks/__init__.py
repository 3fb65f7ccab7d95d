"""The results of tasks, kept so that work is not done twice."""

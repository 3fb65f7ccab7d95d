"""What only the controller knows, in one SQLite file: registered models, jobs and their history.

What a node has is read from the node. Lose this file and ``gswarm model scan`` brings the registry
back; only the history of jobs is gone.
"""

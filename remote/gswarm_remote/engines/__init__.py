"""Engines that serve models, each in a process that outlives the helper: vLLM, MLX or a command."""

"""The language of playbooks: reading files, and what may be written in them."""

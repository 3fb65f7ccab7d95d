"""The `command` actions of playbooks: processes of the user's that outlive the helper."""

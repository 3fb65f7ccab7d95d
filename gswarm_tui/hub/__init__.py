"""A folder of models, served with what the Hugging Face Hub's own client needs to download them.

`server.running` is the way in; `repository` reads the folder, `api` answers requests. Nothing is
imported here: the command line should not pay for Starlette.
"""

"""A folder of models, served with as much of the Hugging Face Hub's API as its own client needs.

`server.running` is the way in; `repository` reads the folder, `api` answers requests. Nothing is
imported here, so that the command line does not load Starlette.
"""

"""The working directory of a session as bytes, and back.

Nothing here follows a symbolic link: every path is walked part by part, from a descriptor of the folder.
What may be listed is in `wire/pages.py`. Must not pickle, and knows nothing of variables.
"""

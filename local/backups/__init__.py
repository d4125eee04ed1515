"""`manage.py backup` and `manage.py restore`: an installation as one file, and its keys as another.

They belong to the part of Drover that creates servers, databases and roles (docs/adr/0042).
"""

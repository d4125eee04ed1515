"""Operators are told by web processes that a part of the installation does not work, and that it works again.

Workers deliver the alerts of orgs. If no worker works, only web processes can tell it. Nothing here reads data of an org, except
`for_orgs`, which lets orgs know it too.
"""

"""SCIM 2.0 (RFC 7643 and 7644): what an org's directory says of its people and groups, and what follows from it."""

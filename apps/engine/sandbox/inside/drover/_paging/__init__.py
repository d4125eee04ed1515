"""Read the pages of an API: the styles of pagination, where records are, and what ends a stream.

The REST source and the base class of custom sources share these modules. They run in the sandbox too, so they use
the standard library and `drover._failures` only, and send no requests themselves.
"""

"""Read the pages of an API: the styles of pagination, where records are, and what ends a stream.

`walk` reads one page after another. For each question about a page there is a module:

- What is requested, and what do the settings say about the next page? `styles` and `counted`.
- Is the response a page? `responses` finds its records, `page_faults` and `forms` an error, `unfinished` a result that
  is not ready or not complete.
- Does the page count items whose lists have the records, and are these lists whole? `nested`.
- Have the records been read before? `overlaps` for those at its beginning, `trails` and `keys` for whole pages.
- What do fields say that the settings do not name? `totals` and `hints`. The setting `hints: false` turns off what is
  concluded from such fields.
- May the stream end here, or must the run fail? `ends`, by what is known of the pages so far (`progress`), and
  `probes`, which requests other pages.

docs/reference/what-arrives.md lists all of this for users.

The REST source and the base class of custom sources share these modules. They run in the sandbox too, so they use
the standard library and `drover._failures` only, and send no requests themselves.
"""

"""Writers of a report: as Markdown, CSV, LaTeX and a page of HTML, each a text; `folder.py` writes them all.

They only spell what `zoo.report.content` says.
"""

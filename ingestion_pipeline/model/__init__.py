"""What everyone speaks of: collections, documents, elements, chunks, tasks, search hits.

Belongs here: plain data and the enums that close its sets. Does not belong here: any I/O, any
library beyond pydantic. Import the names from the module that defines them.
"""

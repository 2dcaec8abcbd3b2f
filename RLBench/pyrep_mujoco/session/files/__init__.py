"""Files of scenes and models, read into objects that a document holds, and written."""

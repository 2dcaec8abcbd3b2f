"""One module for each tool: it tells its files by their content, and reads them."""

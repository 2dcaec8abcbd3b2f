"""Looking at data sets and archives: one page with pictures and numbers."""

"""In a department: acceptance before use with bars stated before, and control charts afterwards."""

"""Records -> one table -> tables, figures, comparisons; the regression check."""

"""How results are shown: figures, tables and one page. Reads files only; trains and scores nothing."""

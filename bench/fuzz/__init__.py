"""Compare what arrives from random inputs with independent readers. The seeds are printed."""

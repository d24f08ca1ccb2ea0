"""The control plane's nouns, one package each."""

"""Ether and ERC-20 tokens on a chain of the EVM: deposit addresses from an xpub, watched over JSON-RPC."""
